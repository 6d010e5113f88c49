"""What programs say in lines of their own form: JSON lines become fields, and words for severity its number. Pure.

Of a line whose message is a JSON object stay: `MESSAGE`, what it says itself; `PRIORITY`; and `FIELDS`, all else, flat
(`{"http.status": "500"}`) and bounded, so that no program can make more fields than anybody could look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

MAX_FIELDS, MAX_DEPTH, MAX_NAME, MAX_VALUE = 64, 5, 128, 4096
LONGEST = 256 << 10
"""Bytes of a message that is looked at; a longer one stays as it is."""

TEXTS = ("message", "msg", "text", "event", "log", "body")
LEVELS = ("level", "severity", "lvl", "loglevel", "log.level", "log_level", "levelname", "severity_text")
SEVERITIES = {
    **dict.fromkeys(("emerg", "emergency", "panic"), 0),
    **dict.fromkeys(("alert",), 1),
    **dict.fromkeys(("fatal", "critical", "crit"), 2),
    **dict.fromkeys(("error", "err", "severe", "eror"), 3),
    **dict.fromkeys(("warning", "warn"), 4),
    **dict.fromkeys(("notice",), 5),
    **dict.fromkeys(("info", "information", "informational", "log"), 6),
    **dict.fromkeys(("debug", "trace", "verbose", "fine", "finer", "finest"), 7),
}
NUMBERS = {10: 7, 20: 7, 30: 6, 40: 4, 50: 3, 60: 2}
"""Levels of bunyan and pino, which programs for Node.js write."""

_LOUD = r"EMERG(?:ENCY)?|PANIC|ALERT|FATAL|CRIT(?:ICAL)?|ERROR|ERR|SEVERE|WARN(?:ING)?|NOTICE|INFO|DEBUG|TRACE"
SPOKEN = re.compile(
    rf"(?:^|[\s\[<|:(])(?:({_LOUD})(?=[\s\]>|:),]|$)|\[((?i:{_LOUD}))\]|(?i:level|severity)=\"?((?i:{_LOUD}))\b)"
)
LOOKED_AT = 120
"""Characters at a message's start, where a word for its severity stands."""

TRACES = ("Traceback (most recent call last):", 'Exception in thread "', "panic: ")

BY_ITSELF = ("stdout", "file", "")
"""Ways into the journal by which a program cannot say how severe a line is: then 6 means nothing."""


OF_JOURNAL = b'"MESSAGE"'
"""What stands in each line that there is anything to do for."""


class _Brief(msgspec.Struct):
    """What must be known of a line before it is known whether all of it is needed: of most lines it is not."""

    message: Any = msgspec.field(name="MESSAGE", default=None)
    priority: Any = msgspec.field(name="PRIORITY", default="6")
    transport: Any = msgspec.field(name="_TRANSPORT", default="")


_brief = msgspec.json.Decoder(_Brief).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.encode


def enrich(original: bytes) -> bytes:
    """A line of the journal's JSON with what its message says about itself; any other stays as it is."""
    if OF_JOURNAL not in original:
        return original
    try:
        line = _brief(original)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return original
    message = line.message
    if not isinstance(message, str) or len(message) > LONGEST:
        return original
    said = _said(message)
    changes: dict[str, Any] = {}
    if said is not None:
        changes = _from_json(said)
    elif spoken := severity_of(message):
        changes = {"PRIORITY": spoken}
    if not _may_change(line):
        changes.pop("PRIORITY", None)
    return _encode({**_decode(original), **changes}) if changes else original


def flatten(value: Mapping[str, Any]) -> dict[str, str]:
    """Nested values under dotted names, at most `MAX_FIELDS`; the rest as JSON under the last name."""
    return dict(pair for pair, _ in zip(_flat("", value, 0), range(MAX_FIELDS), strict=False))


def severity(level: Any) -> int | None:
    """Syslog's number, 0 to 7, for a program's word or number; None where it means nothing."""
    if isinstance(level, str):
        return SEVERITIES.get(level.strip().lower())
    return NUMBERS.get(level) if isinstance(level, int) and not isinstance(level, bool) else None


def severity_of(message: str) -> str | None:
    """The severity that a line of text begins with, as the journal writes it."""
    if message.startswith(TRACES):
        return "3"
    found = SPOKEN.search(message[:LOOKED_AT])
    number = severity(next(word for word in found.groups() if word)) if found else None
    return None if number is None else str(number)


def _said(message: str) -> dict[str, Any] | None:
    if not (message.startswith("{") and message.rstrip().endswith("}")):
        return None
    try:
        said = _decode(message)
    except (msgspec.DecodeError, RecursionError):
        return None
    return said if isinstance(said, dict) and said else None


def _from_json(said: dict[str, Any]) -> dict[str, Any]:
    lower = {key.lower(): key for key in reversed(said)}
    text = next((key for name in TEXTS if (key := lower.get(name)) and isinstance(said[key], str)), None)
    levels = (severity(said[lower[name]]) for name in LEVELS if name in lower)
    number = next((level for level in levels if level is not None), None)
    changes: dict[str, Any] = {"FIELDS": flatten({key: value for key, value in said.items() if key != text})}
    if text is not None:
        changes["MESSAGE"] = said[text]
    if number is not None:
        changes["PRIORITY"] = str(number)
    return changes


def _may_change(line: _Brief) -> bool:
    return line.priority == "6" and line.transport in BY_ITSELF


def _flat(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value and depth < MAX_DEPTH:
        for key, below in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), below, depth + 1)
    elif name:
        text = value if isinstance(value, str) else "" if value is None else _encode(value).decode()
        yield name[:MAX_NAME], text[:MAX_VALUE]
