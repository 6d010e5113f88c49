"""Lines become rows of fields: together what is asked of each alone."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.ingest.fields import fields_of
from bluestone.logs.ingest.lines import INFO, known_of
from bluestone.logs.store.rows import look

VALUE = st.one_of(
    st.text(max_size=6), st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), st.none(), st.booleans()
)
NAME = st.sampled_from(["message", "level", "severity", "PRIORITY", "service", "unit", "a", "FIELDS", "log"])
DOCUMENT = st.dictionaries(NAME, st.one_of(VALUE, st.dictionaries(NAME, VALUE, max_size=2)), max_size=5)


@settings(max_examples=60)
@given(st.lists(st.one_of(DOCUMENT.map(lambda each: json.dumps(each).encode()), st.binary(max_size=4)), max_size=6))
def test_rows_hold_the_fields_of_each_line(lines: list[bytes]) -> None:
    found = look(lines, 100)
    rows: dict[int, dict[str, str]] = {}
    for places, columns in found.rows:
        for number, place in enumerate(places.tolist()):
            assert place not in rows
            rows[place] = {name: texts[number] for name, texts in columns.items()}
    assert sorted(rows) == list(range(100, 100 + len(lines)))
    for number, line in enumerate(lines):
        known = known_of(line)
        severity = known.written_severity() if known else INFO
        own = {"severity": str(severity), "unit": known.written_unit() if known else ""}
        wanted = {name: text for name, text in fields_of(line).items() if name != "message"} | own
        assert rows[100 + number] == wanted
        assert found.severities[number] == severity


def test_a_number_that_is_written_unlike_itself_is_found_by_either_form() -> None:
    lines = [b'{"took":1.5,"n":1}', b'{"took":1.50,"n":2}', b'{"took":15e-1,"n":3}', b'{"n":4,"took":2.5}']
    assert look(lines, 0).more == ["1.5", "1.5"]


def test_of_an_escaped_text_both_forms_count() -> None:
    assert "a\nb" in look([b'{"message":"a\\nb"}', b'{"message":"plain"}'], 0).more
