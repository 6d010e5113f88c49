import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.ingest import cursor_of, key_of, parse_line, parse_lines

NOW = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1_000_000)
CURSOR = "s=be04;i=2a;b=58bc;m=8f69aad8;t=660f81e67c589;x=3b47"


def journal(**fields: object) -> bytes:
    return json.dumps({"__CURSOR": CURSOR, **fields}).encode()


def test_reads_the_columns_of_a_journal_line() -> None:
    original = journal(
        __REALTIME_TIMESTAMP="1795468638537097", MESSAGE="up", PRIORITY="3", _SYSTEMD_UNIT="nginx.service"
    )
    line = parse_line(original, NOW)
    assert line.at == 1_795_468_638_537_097
    assert (line.message, line.severity, line.unit) == ("up", 3, "nginx.service")
    assert line.key == key_of(CURSOR)
    assert line.original == original
    assert line.goodbye is None


def test_bytes_that_are_not_utf8_come_as_numbers_and_survive() -> None:
    line = parse_line(journal(MESSAGE=[72, 105, 255, 10]), NOW)
    assert line.message == "Hi�\n"
    assert json.loads(line.original)["MESSAGE"] == [72, 105, 255, 10]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (None, ""),
        (["one", "two"], "one\ntwo"),
        (["one", [116, 119, 111]], "one\ntwo"),
        ([300], "300"),
        (7, "7"),
        ({"a": 1}, '{"a":1}'),
        ("nul\x00 inside", "nul\x00 inside"),
    ],
)
def test_every_shape_of_a_field_becomes_text(field: object, message: str) -> None:
    assert parse_line(journal(MESSAGE=field), NOW).message == message


def test_a_line_without_a_time_takes_its_cursors_else_that_of_its_arrival() -> None:
    assert parse_line(journal(), NOW).at == 0x660F81E67C589
    assert parse_line(json.dumps({"__CURSOR": "mine"}).encode(), NOW).at == NOW


@pytest.mark.parametrize("time", ["-5", "0", "1" + "0" * 18, "soon", "٣"])
def test_a_time_that_is_no_date_is_not_believed(time: str) -> None:
    line = parse_line(json.dumps({"__CURSOR": "mine", "__REALTIME_TIMESTAMP": time}).encode(), NOW)
    assert line.at == NOW


def test_identity_in_the_body_is_only_text() -> None:
    line = parse_line(journal(server="web-1", _BLUESTONE_SERVER="web-1", MESSAGE="mine"), NOW)
    assert line._fields == ("key", "at", "severity", "unit", "message", "original", "goodbye")


def test_a_goodbye_says_how_many_lines_there_were() -> None:
    assert parse_line(journal(_BLUESTONE_GOODBYE="3154"), NOW).goodbye == 3154


@pytest.mark.parametrize("original", [b"plain text", b"[1]", b'{"MESSAGE":"no cursor"}', b"{", b"\xff\xfe", b"null"])
def test_what_is_no_journal_line_is_kept_as_it_is(original: bytes) -> None:
    line = parse_line(original, NOW)
    assert line.original == original
    assert line.message == original.decode(errors="replace")
    assert line.at == NOW
    assert cursor_of(original) == ""


def test_equal_lines_without_a_cursor_are_both_kept() -> None:
    assert parse_line(b"again", NOW).key != parse_line(b"again", NOW).key


def test_a_body_is_cut_at_its_newlines() -> None:
    assert [line.message for line in parse_lines(b"one\n\ntwo\nthree", NOW)] == ["one", "two", "three"]


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read_and_stored_as_text(original: bytes) -> None:
    line = parse_line(original, NOW)
    line.message.encode()  # SQLite takes no lone surrogates
    line.unit.encode()
    assert line.original == original


@given(
    st.dictionaries(
        st.sampled_from(["MESSAGE", "PRIORITY", "_SYSTEMD_UNIT", "__REALTIME_TIMESTAMP"]),
        st.recursive(st.none() | st.text() | st.integers() | st.floats(allow_nan=False), st.lists, max_leaves=5),
    )
)
def test_any_value_of_any_field_gives_a_line_within_bounds(fields: dict[str, object]) -> None:
    line = parse_line(journal(**fields), NOW)
    assert 0 <= line.severity <= 7
    assert 0 < line.at < 2**63
    line.message.encode()


def test_a_lone_surrogate_is_stored_raw_or_replaced() -> None:
    original = b'{"__CURSOR":"c\\ud800","MESSAGE":"\\ud800"}'
    line = parse_line(original, NOW)
    line.message.encode()
    assert line.original == original
