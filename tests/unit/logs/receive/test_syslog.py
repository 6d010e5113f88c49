from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.receive.syslog import LONGEST, Frames, line_of

RECEIVED = 1_790_000_000_000_000


def read(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line_of(message, RECEIVED))
    return found


def test_the_example_of_the_standard() -> None:
    message = (
        b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
        b'[exampleSDID@32473 iut="3" eventSource="Appli\\"cation\\\\" eventID="1011"][x@1 a="\\]"] '
        b"\xef\xbb\xbfAn application event log entry..."
    )
    assert read(message) == {
        "__REALTIME_TIMESTAMP": "1065910455003000",
        "SYSLOG_TIMESTAMP": "2003-10-11T22:14:15.003Z",
        "HOSTNAME": "mymachine.example.com",
        "SYSLOG_IDENTIFIER": "evntslog",
        "SYSLOG_MSGID": "ID47",
        "FIELDS": {
            "exampleSDID@32473.iut": "3",
            "exampleSDID@32473.eventSource": 'Appli"cation\\',
            "exampleSDID@32473.eventID": "1011",
            "x@1.a": "]",
        },
        "MESSAGE": "An application event log entry...",
        "PRIORITY": "5",
        "SYSLOG_FACILITY": "20",
        "_TRANSPORT": "syslog-tls",
    }


def test_nothing_but_what_must_be_there() -> None:
    assert read(b"<34>1 - - - - - -") == {
        "__REALTIME_TIMESTAMP": str(RECEIVED),
        "PRIORITY": "2",
        "SYSLOG_FACILITY": "4",
        "_TRANSPORT": "syslog-tls",
    }


def test_the_older_form() -> None:
    found = read(b"<13>Nov 30 12:00:01 router sshd[77]: hello: you")
    assert (found["HOSTNAME"], found["SYSLOG_IDENTIFIER"], found["SYSLOG_PID"]) == ("router", "sshd", "77")
    assert found["MESSAGE"] == "hello: you"


@pytest.mark.parametrize(
    ("message", "said", "priority"),
    [
        (b"<11>no form at all", "no form at all", "3"),
        (b"nothing", "nothing", "6"),
        (b"<999>x", "x", "6"),
        (b"<34>1 - - - - - [broken", "1 - - - - - [broken", "2"),
    ],
)
def test_what_is_neither_is_kept_as_it_is(message: bytes, said: str, priority: str) -> None:
    found = read(message)
    assert (found["MESSAGE"], found["PRIORITY"]) == (said, priority)


def test_bytes_that_are_no_text_are_shown() -> None:
    assert read(b"<34>1 - - - - - - a \xff b")["MESSAGE"] == "a \\xff b"


@given(st.binary(max_size=200))
def test_no_message_is_refused_or_forges_a_field_of_the_shippers(message: bytes) -> None:
    assert not {"__CURSOR", "_BLUESTONE_SEQUENCE", "_BLUESTONE_GOODBYE"} & read(message).keys()


texts = st.binary(min_size=1, max_size=60).map(
    lambda text: b"<14>" + text.replace(b"\n", b"x").rstrip(b"\r\n\0 ") + b"."
)


@settings(max_examples=60)
@given(st.lists(st.tuples(texts, st.booleans()), max_size=6), st.integers(1, 50))
def test_counted_and_ended_messages_are_told_apart_however_the_stream_is_cut(
    said: list[tuple[bytes, bool]], step: int
) -> None:
    stream = b"".join(b"%d %b" % (len(text), text) if counted else text + b"\n" for text, counted in said)
    frames = Frames()
    found = [each for at in range(0, len(stream), step) for each in frames.feed(stream[at : at + step])]
    assert found == [text for text, _ in said]
    assert frames.end() == []


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("size", [LONGEST - 4, LONGEST, 10 << 20])
def test_a_message_that_is_too_long_is_cut_and_the_next_is_whole(counted: bool, size: int) -> None:
    long = b"<14>" + b"x" * size
    stream = (b"%d %b" % (len(long), long) if counted else long + b"\n") + b"<14>next\n"
    frames = Frames()
    found = [each for at in range(0, len(stream), 65_536) for each in frames.feed(stream[at : at + 65_536])]
    assert [len(each) for each in found] == [min(len(long), LONGEST), 8]
    assert ("_BLUESTONE_CUT" in read(found[0])) == (len(long) >= LONGEST)


@pytest.mark.parametrize("stream", [b"12x <14>", b"1234567890123 ", b"99999999999"])
def test_a_stream_that_is_no_syslog_is_given_up(stream: bytes) -> None:
    with pytest.raises(ValueError, match="octet count"):
        Frames().feed(stream)


def test_a_last_message_may_lack_its_end() -> None:
    frames = Frames()
    assert frames.feed(b"<14>a\n<14>b") == [b"<14>a"]
    assert frames.end() == [b"<14>b"]
    frames = Frames()
    frames.feed(b"50 <14>half")
    assert frames.end() == []
