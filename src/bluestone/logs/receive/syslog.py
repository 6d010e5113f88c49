"""Syslog messages (RFC 5424, and what is left of RFC 3164) as lines, and how a stream is cut into them. Pure.

A stream by TLS (RFC 5425) counts the octets of each message before it; many senders end each by a line feed instead
(RFC 6587). Both are taken, also mixed: a count begins with a digit, a message with `<`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

from bluestone.logs.receive.enrich import MAX_FIELDS, MAX_NAME, MAX_VALUE

LONGEST = 64 << 10
"""Bytes of a message; what is beyond is left out, and the line says so. RFC 5425 asks for 8 KiB."""

MAX_COUNT = 9
"""Digits of an octet count."""

TRANSPORT = "syslog-tls"

_HEAD = re.compile(
    rb"<(\d{1,3})>1 (\S{1,64}) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32})"
    rb" (-|(?:\[(?:[^\]\"]|\"(?:[^\"\\]|\\.)*\")*\])+)"
    rb"(?: (.*))?",
    re.DOTALL,
)
_OLD = re.compile(
    rb"<(\d{1,3})>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (\S{1,255}) )?([^\s:\[]{1,48})(?:\[(\d{1,10})\])?: ?(.*)",
    re.DOTALL,
)
_ELEMENT = re.compile(rb"\[([^\s=\]\"]{1,64})((?: [^\s=\]\"]{1,64}=\"(?:[^\"\\]|\\.)*\")*) ?\]")
_PARAMETER = re.compile(rb" ([^\s=\]\"]{1,64})=\"((?:[^\"\\]|\\.)*)\"")
_PRIORITY = re.compile(rb"<(\d{1,3})>")
HIGHEST = 191


class Frames:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._rest = b""
        self._skip = 0
        """Octets of a message that was too long, still to come; -1 for all up to a line feed."""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete with `data`. Raises `ValueError` where the stream is none of messages."""
        self._rest += data
        found = []
        while (message := self._next()) is not None:
            if message.strip(b"\r\n\0 "):
                found.append(message)
        return found

    def end(self) -> list[bytes]:
        """What the stream ends with, if it is a message that only lacks its end."""
        rest, self._rest = self._rest, b""
        return [rest] if rest.startswith(b"<") and self._skip == 0 else []

    def _next(self) -> bytes | None:
        self._pass_over()
        rest = self._rest
        if not rest or self._skip:
            return None
        if rest[:1].isdigit():
            return self._counted()
        end = rest.find(b"\n")
        if end >= 0:
            self._rest = rest[end + 1 :]
            return rest[: min(end, LONGEST)]
        if len(rest) > LONGEST:
            self._rest, self._skip = b"", -1
            return rest[:LONGEST]
        return None

    def _counted(self) -> bytes | None:
        count, space, _ = self._rest[: MAX_COUNT + 1].partition(b" ")
        if not space:
            if len(count) > MAX_COUNT or not count.isdigit():
                raise ValueError("a message's octet count is none")
            return None
        if not count.isdigit():
            raise ValueError("a message's octet count is none")
        length, begin = int(count), len(count) + 1
        have = self._rest[begin : begin + length]
        if len(have) < min(length, LONGEST):
            return None
        taken = min(length, LONGEST)
        self._skip = length - taken
        self._rest = self._rest[begin + taken :]
        return have[:taken]

    def _pass_over(self) -> None:
        if self._skip > 0:
            passed = min(self._skip, len(self._rest))
            self._rest, self._skip = self._rest[passed:], self._skip - passed
        elif self._skip < 0:
            _, end, rest = self._rest.partition(b"\n")
            self._rest, self._skip = (rest, 0) if end else (b"", -1)


def line_of(message: bytes, received: int) -> bytes:
    """A message as the journal would write it; `received` (microseconds since 1970) dates one without a time."""
    fields: dict[str, object]
    message = message.rstrip(b"\r\n\0")  # rsyslog counts the line end as well, and leaves a blank before the text
    if found := _HEAD.fullmatch(message):
        priority, when, host, app, process, kind, data, said = found.groups()
        fields = {
            "__REALTIME_TIMESTAMP": str(_micros(when) or received),
            "SYSLOG_TIMESTAMP": _value(when),
            "HOSTNAME": _value(host),
            "SYSLOG_IDENTIFIER": _value(app),
            "SYSLOG_PID": _value(process),
            "SYSLOG_MSGID": _value(kind),
            "FIELDS": _parameters(data),
            "MESSAGE": _text((said or b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b" ")),
        }
    elif found := _OLD.fullmatch(message):
        priority, host, app, process, said = found.groups()
        fields = {
            "__REALTIME_TIMESTAMP": str(received),
            "HOSTNAME": _value(host or b""),
            "SYSLOG_IDENTIFIER": _value(app),
            "SYSLOG_PID": _value(process or b""),
            "MESSAGE": _text(said),
        }
    else:
        found = _PRIORITY.match(message)
        priority = found[1] if found else b"14"
        fields = {"__REALTIME_TIMESTAMP": str(received), "MESSAGE": _text(message[found.end() if found else 0 :])}
    code = int(priority) if int(priority) <= HIGHEST else 14
    fields |= {"PRIORITY": str(code & 7), "SYSLOG_FACILITY": str(code >> 3), "_TRANSPORT": TRANSPORT}
    if len(message) >= LONGEST:
        fields["_BLUESTONE_CUT"] = str(LONGEST)
    return msgspec.json.encode({name: value for name, value in fields.items() if value})


def _parameters(data: bytes) -> dict[str, str]:
    return dict(pair for pair, _ in zip(_each(data), range(MAX_FIELDS), strict=False))


def _each(data: bytes) -> Iterator[tuple[str, str]]:
    for element in _ELEMENT.finditer(data):
        name = _text(element[1])
        for parameter in _PARAMETER.finditer(element[2]):
            value = re.sub(rb"\\([\"\\\]])", rb"\1", parameter[2])
            yield f"{name}.{_text(parameter[1])}"[:MAX_NAME], _text(value)[:MAX_VALUE]


def _micros(when: bytes) -> int | None:
    try:
        moment = datetime.fromisoformat(when.decode())
    except ValueError:
        return None
    return int(moment.timestamp() * 1_000_000) if moment.tzinfo and moment.year > 1970 else None


def _value(raw: bytes) -> str:
    return "" if raw == b"-" else _text(raw)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
