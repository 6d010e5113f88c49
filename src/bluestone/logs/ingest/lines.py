"""From what writers send to lines: pure, and refuses nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any, TypeVar

import msgspec

Kind = TypeVar("Kind")

INFO = 6
LATEST = 253_402_300_799_999_999
"""The last microsecond of the year 9999, beyond which there are no dates in Python."""

CURSOR_TIME = re.compile(r";t=([0-9a-f]{1,16})(?:;|$)")

SEVERITIES = {
    **{str(number): number for number in range(8)},
    **dict.fromkeys(("emerg", "emergency", "panic"), 0),
    "alert": 1,
    **dict.fromkeys(("crit", "critical", "fatal"), 2),
    **dict.fromkeys(("err", "error", "severe"), 3),
    **dict.fromkeys(("warn", "warning"), 4),
    "notice": 5,
    **dict.fromkeys(("info", "information", "informational"), 6),
    **dict.fromkeys(("debug", "trace", "fine", "finer", "finest", "verbose"), 7),
}
"""Syslog's numbers (RFC 5424, 6.2.1) by the names that programs use."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line, ready to be stored.

    `key` names it among its server's lines, None if its writer gave it no name; `at` is in microseconds since 1970;
    `goodbye` is the number of lines that the shipper says it sent, in its last record.
    """

    key: int | None
    at: int
    original: bytes
    goodbye: int | None = None

    @property
    def severity(self) -> int:
        """Syslog's number."""
        known = known_of(self.original)
        return known.written_severity() if known else INFO

    @property
    def unit(self) -> str:
        """What wrote it."""
        known = known_of(self.original)
        return known.written_unit() if known else ""

    @property
    def message(self) -> str:
        """What it says: all of it, if it has no field for that."""
        known = known_of(self.original)
        said = known.written_message() if known else None
        return self.original.decode(errors="replace") if said is None else said


class Named(msgspec.Struct, gc=False):
    """What a line's JSON says of its name and time: all that must be known to store it."""

    cursor: Any = msgspec.field(name="__CURSOR", default=None)
    realtime: Any = msgspec.field(name="__REALTIME_TIMESTAMP", default=None)
    goodbye: Any = msgspec.field(name="_BLUESTONE_GOODBYE", default=None)
    id: Any = msgspec.field(name="_id", default=None)
    timestamp: Any = msgspec.field(name="@timestamp", default=None)
    plain_timestamp: Any = msgspec.field(name="timestamp", default=None)
    time: Any = None

    @property
    def name(self) -> str:
        """What its writer calls the line: the journal's cursor, or a document's id."""
        return text(self.cursor) or text(self.id)

    def at(self, received: int) -> int:
        """When it was written, in microseconds since 1970; when it was received, if it does not say."""
        if self.realtime is None and self.cursor is None and (quick := _instant(self.timestamp)) is not None:
            return quick if quick > 0 else received
        micros = None if self.realtime is None else _number(text(self.realtime))
        if micros is None and self.cursor is not None and (found := CURSOR_TIME.search(text(self.cursor))):
            micros = int(found[1], 16)
        if micros is None:
            for value in (self.timestamp, self.plain_timestamp, self.time):
                if value is not None and (micros := moment(value)) is not None:
                    break
        return micros if micros is not None and 0 < micros <= LATEST else received


class Known:
    """What a line's JSON may say of it: fields of systemd's journal (systemd.journal-fields(7)), else a document's.

    A document is any other JSON object; its fields are those of the Elastic Common Schema and what log libraries
    write in their place.
    """

    __slots__ = ("_get",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._get = document.get

    @property
    def name(self) -> str:
        """What its writer calls the line: the journal's cursor, or a document's id."""
        return text(self._get("__CURSOR")) or text(self._get("_id"))

    def written_severity(self) -> int:
        """Syslog's number, whatever the writer called it; that of `info` if it says nothing."""
        get = self._get
        for name in LEVELS:
            value = get(name)
            if value is not None and (known := _severity(value)) is not None:
                return known
        log = get("log")
        nested = _severity(log.get("level")) if isinstance(log, dict) else None
        return INFO if nested is None else nested

    def written_unit(self) -> str:
        """The unit, service or program that wrote it."""
        get = self._get
        for name in UNITS:
            value = get(name)
            if value is None:
                continue
            if name == "service" and isinstance(value, dict):
                value = value.get("name")
            if said := text(value):
                return said
        return ""

    def written_message(self) -> str | None:
        """What it says; None if it has no field for that."""
        said = self._get("MESSAGE")
        if said is not None or self._get("__CURSOR") is not None:
            return text(said)
        for value in map(self._get, MESSAGES):
            if value is not None and not isinstance(value, dict):
                return text(value)
        return None


def _severity(value: Any) -> int | None:
    if isinstance(value, str) and (known := SEVERITIES.get(value)) is not None:  # nearly always
        return known
    return SEVERITIES.get(text(value).strip().lower())


LEVELS = ("PRIORITY", "level", "severity", "log.level")
UNITS = ("_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_TRANSPORT", "unit", "service", "program")
MESSAGES = ("message", "msg", "log")

_document = msgspec.json.Decoder(dict[str, Any])
_named = msgspec.json.Decoder(Named)
_first, _last = itemgetter(0), itemgetter(-1)


def parse_lines(body: bytes, received: int) -> list[Line]:
    """The lines of a request's body; `received` (microseconds since 1970) dates those without a time."""
    originals = [line for line in body.split(b"\n") if line]
    named = decoded(_named, body, originals)
    return [_line(each, original, received) for each, original in zip(named, originals, strict=True)]


def parse_line(original: bytes, received: int) -> Line:
    """Read one line of `journalctl -o json` or a JSON document; any other line is its own message."""
    return _line(_decoded(_named, original), original, received)


def _line(named: Named | None, original: bytes, received: int) -> Line:
    if named is None:
        return Line(None, received, original)
    if named.cursor is None and named.id is None:
        # Without a name nobody can tell a line sent again from a line written twice: rather twice than never.
        return Line(None, named.at(received), original)
    name = named.name
    goodbye = _number(text(named.goodbye)) if named.goodbye is not None and named.cursor is not None else None
    return Line(key_of(name) if name else None, named.at(received), original, goodbye)


def decoded(decoder: msgspec.json.Decoder[Kind], body: bytes, originals: Sequence[bytes]) -> Sequence[Kind | None]:
    """Each line's JSON (None where it is none), read all at once if each is an object, which is twice as fast.

    `originals` are the lines of the body.
    """
    if _one_object_each(originals):
        try:
            found = decoder.decode_lines(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = []
        if len(found) == len(originals):
            return found
    return [_decoded(decoder, original) for original in originals]


def _one_object_each(originals: Sequence[bytes]) -> bool:
    """Whether lines, if all are read as JSON, are values of their own: nowhere else does JSON have `}` and `{` with but
    newlines between them. With as many values as lines each line is then one.
    """
    return all(originals) and {*map(_first, originals)} == {ord("{")} and {*map(_last, originals)} == {ord("}")}


def _decoded(decoder: msgspec.json.Decoder[Kind], original: bytes) -> Kind | None:
    try:
        return decoder.decode(original)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def known_of(original: bytes) -> Known | None:
    """What a line's JSON says of it; None if it is no JSON object."""
    document = _decoded(_document, original)
    return None if document is None else Known(document)


def cursor_of(original: bytes) -> str:
    """The writer's name for a line; empty for a line without one."""
    known = known_of(original)
    return known.name if known else ""


def text(value: Any) -> str:
    """A field as text.

    journalctl writes a field as a string, as an array of bytes where it is not UTF-8 or not printable, as an
    array of both where the field occurs more than once, and as null where it was too large to show.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if type(value) is int or type(value) is float:
        return repr(value)
    if isinstance(value, list):
        if value and all(isinstance(item, int) and 0 <= item <= 255 for item in value):
            return bytes(value).decode(errors="replace")
        return "\n".join(text(item) for item in value)
    return msgspec.json.encode(value).decode()


def key_of(name: str) -> int:
    """64 bits of a name's hash, signed."""
    return int.from_bytes(blake2b(name.encode(errors="replace"), digest_size=8).digest(), signed=True)


def moment(value: Any) -> int | None:
    """Microseconds since 1970 of a time as documents write it; None if it is none.

    ISO 8601 (without a zone: UTC), or a number: of seconds, milli-, micro- or nanoseconds, told apart by size.
    """
    if isinstance(value, str) and ("-" in value or not value.replace(".", "", 1).isdigit()):
        return _iso(value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    for limit, factor in ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (1e20, 1e-3)):
        if 0 < number < limit:
            return int(number * factor)
    return None


def _instant(value: Any) -> int | None:
    """A moment as most documents have it (2026-11-20T08:15:00.123456Z, or to the millisecond); None for any other.

    Many lines are of the same second, which is read once.
    """
    if type(value) is str and value[-1:] == "Z" and (scale := FRACTIONS.get(len(value))):
        fraction = value[20:-1]
        if fraction.isdecimal() and fraction.isascii() and (whole := _second(value[:20])):
            return whole + int(fraction) * scale
    return None


@lru_cache(maxsize=4096)
def _second(value: str) -> int | None:
    """Microseconds since 1970 of a second in UTC like `2026-11-20T08:15:00.`; None if it is written in another way."""
    return _iso(value[:-1]) if SECOND.fullmatch(value) else None


def _iso(value: str) -> int | None:
    if len(value) > 40:
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


EPOCH = datetime.fromtimestamp(0, UTC)
SECOND = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.")
FRACTIONS = {len("2026-11-20T08:15:00.123456Z"): 1, len("2026-11-20T08:15:00.123Z"): 1000}
"""Microseconds of the unit of the last digit, by the length of the whole."""


def _number(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
