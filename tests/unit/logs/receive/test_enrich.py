from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.receive.enrich import MAX_FIELDS, MAX_VALUE, enrich, flatten, severity, severity_of


def enriched(message: object, **fields: object) -> dict[str, Any]:
    line = {"__CURSOR": "s=1;i=1", "PRIORITY": "6", "_TRANSPORT": "stdout", "MESSAGE": message, **fields}
    found: dict[str, Any] = json.loads(enrich(json.dumps(line).encode()))
    return found


def test_a_json_line_becomes_its_message_its_severity_and_fields() -> None:
    said = {
        "level": "error",
        "msg": "no price",
        "http": {"status": 500, "path": "/buy"},
        "tags": ["a", 1],
        "none": None,
    }
    found = enriched(json.dumps(said))
    assert (found["MESSAGE"], found["PRIORITY"]) == ("no price", "3")
    assert found["FIELDS"] == {
        "level": "error",
        "http.status": "500",
        "http.path": "/buy",
        "tags": '["a",1]',
        "none": "",
    }


@pytest.mark.parametrize("message", ["{", "{}", '{"a": }', "[1]", "plain", '{"a":1} and more', "{" * 5000 + "}" * 5000])
def test_what_is_no_json_object_stays(message: str) -> None:
    assert enriched(message)["MESSAGE"] == message


def test_without_a_message_of_its_own_it_stays_whole() -> None:
    found = enriched('{"a": 1}')
    assert (found["MESSAGE"], found["FIELDS"]) == ('{"a": 1}', {"a": "1"})


def test_fields_are_bounded_in_number_depth_and_length() -> None:
    deep: Any = "end"
    for _ in range(50):
        deep = {"d": deep}
    found = enriched(json.dumps({"msg": "x", "deep": deep, "long": "y" * 9999, **{f"f{n}": n for n in range(500)}}))
    assert len(found["FIELDS"]) == MAX_FIELDS
    assert max(map(len, found["FIELDS"].values())) == MAX_VALUE
    assert all(name.count(".") <= 5 for name in found["FIELDS"])


def test_a_program_cannot_forge_what_only_the_journal_says() -> None:
    found = enriched(json.dumps({"msg": "x", "_BLUESTONE_GOODBYE": "1", "__CURSOR": "s=9", "_SYSTEMD_UNIT": "ssh"}))
    assert "_BLUESTONE_GOODBYE" not in found
    assert (found["__CURSOR"], found.get("_SYSTEMD_UNIT")) == ("s=1;i=1", None)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("2026-11-30 12:00:01 ERROR shop - no price", "3"),
        ("[warn] slow", "4"),
        ('level=debug msg="x"', "7"),
        ("2026/11/30 12:00:00 [crit] 7#7: *1 open()", "2"),
        ("Traceback (most recent call last):\n  File", "3"),
        ("WARNING:root:careful", "4"),
        ("an Error in the text", None),
        ("ERRORS: none", None),
        ("the INFORMATION desk", None),
        ("x" * 200 + " ERROR", None),
    ],
)
def test_a_word_for_severity_at_the_start_of_a_line_counts(message: str, expected: str | None) -> None:
    assert severity_of(message) == expected
    assert enriched(message)["PRIORITY"] == (expected or "6")


def test_what_the_journal_was_told_itself_counts_more() -> None:
    assert enriched("ERROR x", PRIORITY="4")["PRIORITY"] == "4"
    assert enriched("ERROR x", _TRANSPORT="journal")["PRIORITY"] == "6"


@pytest.mark.parametrize(
    ("level", "number"),
    [("Fatal", 2), ("WARN", 4), ("trace", 7), (50, 3), (30, 6), ("?", None), (True, None), (7, None), (None, None)],
)
def test_levels_of_other_programs(level: object, number: int | None) -> None:
    assert severity(level) == number


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps({"MESSAGE": json.dumps(value)}).encode()))
def test_no_line_is_refused(line: bytes) -> None:
    enrich(line)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_what_is_flat_is_text(value: dict[str, Any]) -> None:
    assert all(isinstance(name, str) and isinstance(text, str) and name for name, text in flatten(value).items())
