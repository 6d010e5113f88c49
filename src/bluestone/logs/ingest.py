"""From what a shipper sends to lines: pure, and refuses nothing."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

INFO = 6
LATEST = 253_402_300_799_999_999
"""The last microsecond of the year 9999, beyond which there are no dates in Python."""

CURSOR_TIME = re.compile(r";t=([0-9a-f]{1,16})(?:;|$)")


class Line(NamedTuple):
    """One line, ready to be stored.

    `key` names it among its server's lines of that instant; `at` is in microseconds since 1970; `goodbye` is
    the number of lines that the shipper says it sent, in its last record.
    """

    key: int
    at: int
    severity: int
    unit: str
    message: str
    original: bytes
    goodbye: int | None = None


class JournalFields(msgspec.Struct):
    """The fields of systemd's journal that are columns of the store (systemd.journal-fields(7))."""

    cursor: Any = msgspec.field(name="__CURSOR", default=None)
    realtime: Any = msgspec.field(name="__REALTIME_TIMESTAMP", default=None)
    message: Any = msgspec.field(name="MESSAGE", default=None)
    priority: Any = msgspec.field(name="PRIORITY", default=None)
    unit: Any = msgspec.field(name="_SYSTEMD_UNIT", default=None)
    identifier: Any = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)
    transport: Any = msgspec.field(name="_TRANSPORT", default=None)
    goodbye: Any = msgspec.field(name="_BLUESTONE_GOODBYE", default=None)


_decoder = msgspec.json.Decoder(JournalFields)


def parse_lines(body: bytes, received: int) -> Iterator[Line]:
    """The lines of a request's body; `received` (microseconds since 1970) dates those without a time."""
    return (parse_line(line, received) for line in body.split(b"\n") if line)


def parse_line(original: bytes, received: int) -> Line:
    """Read one line of `journalctl -o json`; anything else becomes a line with itself as its message."""
    fields = _decode(original)
    cursor = text(fields.cursor) if fields else ""
    if not fields or not cursor:
        return _raw(original, received)
    return Line(
        key=key_of(cursor),
        at=_time(text(fields.realtime), cursor, received),
        severity=_severity(text(fields.priority)),
        unit=text(fields.unit) or text(fields.identifier) or text(fields.transport),
        message=text(fields.message),
        original=original,
        goodbye=_number(text(fields.goodbye)),
    )


def cursor_of(original: bytes) -> str:
    """The journal's name for a line; empty for a line that is not the journal's."""
    fields = _decode(original)
    return text(fields.cursor) if fields else ""


def text(value: Any) -> str:
    """A journal field as text.

    journalctl writes a field as a string, as an array of bytes where it is not UTF-8 or not printable, as an
    array of both where the field occurs more than once, and as null where it was too large to show.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        if all(isinstance(item, int) and 0 <= item <= 255 for item in value):
            return bytes(value).decode(errors="replace")
        return "\n".join(text(item) for item in value)
    return msgspec.json.encode(value).decode()


def key_of(cursor: str) -> int:
    """64 bits of a cursor's hash, signed as SQLite stores it; the line's time tells the rest apart."""
    return int.from_bytes(blake2b(cursor.encode(errors="replace"), digest_size=8).digest(), signed=True)


def _decode(original: bytes) -> JournalFields | None:
    try:
        return _decoder.decode(original)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _raw(original: bytes, received: int) -> Line:
    # Without a cursor nobody can tell a line sent again from a line written twice: rather twice than never.
    key = int.from_bytes(secrets.token_bytes(8), signed=True)
    return Line(key, received, INFO, "", original.decode(errors="replace"), original)


def _time(realtime: str, cursor: str, received: int) -> int:
    micros = _number(realtime)
    if micros is None and (found := CURSOR_TIME.search(cursor)):
        micros = int(found[1], 16)
    return micros if micros is not None and 0 < micros <= LATEST else received


def _severity(priority: str) -> int:
    return int(priority) if priority in ("0", "1", "2", "3", "4", "5", "6", "7") else INFO


def _number(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
