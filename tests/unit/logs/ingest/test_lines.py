import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.ingest.fields import fields_of
from bluestone.logs.ingest.lines import cursor_of, key_of, parse_line, parse_lines

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


@pytest.mark.parametrize(
    "written",
    [
        *("2026-11-20T08:15:00.123456Z", "2026-11-20T08:15:00.12Z", "2026-11-20T08:15:00.123Z", "2026-11-20T08:15:00Z"),
        *("2026-11-20T09:15:00.123+01:00", "2026-11-20 08:15:00.123Z", "20261120T081500.123Z"),
    ],
)
def test_a_time_is_read_however_iso_8601_writes_it(written: str) -> None:
    when = datetime.fromisoformat(written)
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.fromtimestamp(0, UTC)
    line = parse_line(json.dumps({"@timestamp": written}).encode(), NOW)
    assert line.at == since // timedelta(microseconds=1)


def test_a_time_before_1970_is_not_believed() -> None:
    assert parse_line(b'{"@timestamp":"1960-01-01T00:00:00.123Z"}', NOW).at == NOW


def test_identity_in_the_body_is_only_text() -> None:
    line = parse_line(journal(server="web-1", _BLUESTONE_SERVER="web-1", MESSAGE="mine"), NOW)
    assert line.__struct_fields__ == ("key", "at", "original", "goodbye")


def test_a_goodbye_says_how_many_lines_there_were() -> None:
    assert parse_line(journal(_BLUESTONE_GOODBYE="3154"), NOW).goodbye == 3154


@pytest.mark.parametrize("original", [b"plain text", b"[1]", b"{", b"\xff\xfe", b"null"])
def test_what_is_no_journal_line_is_kept_as_it_is(original: bytes) -> None:
    line = parse_line(original, NOW)
    assert line.original == original
    assert line.message == original.decode(errors="replace")
    assert line.at == NOW
    assert cursor_of(original) == ""


def test_equal_lines_without_a_cursor_are_both_kept() -> None:
    assert parse_line(b"again", NOW).key is None


def test_a_body_is_cut_at_its_newlines() -> None:
    assert [line.message for line in parse_lines(b"one\n\ntwo\nthree", NOW)] == ["one", "two", "three"]


PIECES = tuple(b'{"_id":"a"}|{"_id":"b","time":5}|{"_id":|"c"}|{"_id":[{}|{"x":1}]}|{}|text| |'.split(b"|"))


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=3).map(b"".join), max_size=5))
def test_lines_that_are_read_at_once_are_those_that_are_read_one_by_one(lines: list[bytes]) -> None:
    assert parse_lines(b"\n".join(lines), NOW) == [parse_line(line, NOW) for line in lines if line]


def test_two_objects_in_a_line_are_no_document_and_give_no_other_line_their_name() -> None:
    lines = [b'{"_id":"a"}{"_id":"b"}', b'{"_id":"c"}', b'{"_id":', b'"d"}']
    assert [line.key for line in parse_lines(b"\n".join(lines), NOW)] == [None, key_of("c"), None, None]


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


@pytest.mark.parametrize(
    ("document", "message", "severity", "unit"),
    [
        ({"MESSAGE": "no cursor"}, "no cursor", 6, ""),
        ({"message": "up", "level": "ERROR", "service": "shop"}, "up", 3, "shop"),
        ({"msg": "up", "log": {"level": "warn"}, "service": {"name": "shop"}}, "up", 4, "shop"),
        ({"log": "up", "log.level": "Fatal", "program": "sshd"}, "up", 2, "sshd"),
        ({"message": "up", "severity": 7}, "up", 7, ""),
        ({"message": "up", "level": "loud"}, "up", 6, ""),
        ({"a": 1}, '{"a": 1}', 6, ""),
    ],
)
def test_a_document_says_its_message_level_and_service(
    document: dict[str, object], message: str, severity: int, unit: str
) -> None:
    line = parse_line(json.dumps(document).encode(), NOW)
    assert (line.message, line.severity, line.unit) == (message, severity, unit)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-23T00:00:01Z",
        "2026-11-23T01:00:01+01:00",
        "2026-11-23 00:00:01",
        1795392001,
        1795392001000,
        "1795392001.0",
        1795392001000000,
        1795392001000000000,
    ],
)
def test_a_documents_time_is_read_in_every_common_form(written: object) -> None:
    assert parse_line(json.dumps({"@timestamp": written}).encode(), 1).at == 1_795_392_001_000_000


@pytest.mark.parametrize("written", ["soon", "", None, [], {}, -1, 0, 1e300, "9" * 50, True, "2026-13-01"])
def test_a_documents_time_that_is_none_is_that_of_its_arrival(written: object) -> None:
    assert parse_line(json.dumps({"@timestamp": written, "message": "m"}).encode(), NOW).at in (NOW, 1_000_000)


def test_a_document_sent_again_has_the_same_key() -> None:
    document = b'{"_id":"a1","message":"m"}'
    assert parse_line(document, 1).key == parse_line(document, 2).key
    assert cursor_of(document) == "a1"


@pytest.mark.parametrize(("number", "text"), [("1e16", "1e+16"), ("17", "17"), ("1.50", "1.5")])
def test_a_number_is_the_same_text_wherever_it_stands(number: str, text: str) -> None:
    original = f'{{"service": {number}}}'.encode()
    assert parse_line(original, NOW).unit == fields_of(original)["service"] == text
