"""As much of JSON as a shipper needs: python3-minimal has no json. A line is one object, as journalctl writes it."""

from __future__ import annotations

import re
from collections.abc import Callable

CURSOR = re.compile(rb'"__CURSOR" ?: ?"([^"\\]*)"')
"""A quote inside a JSON string is escaped, so only the field itself can match; so it is with the others here."""

_STRING = rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
MESSAGE = re.compile(rb'"MESSAGE" ?: ?' + _STRING)
STREAM = re.compile(rb'"(?:_BLUESTONE_FILE|_STREAM_ID|_PID)" ?: ?' + _STRING)
_NUMBERS = rb"\[[0-9, ]*\]"
_FIELD = re.compile(
    b"("
    + _STRING
    + b" ?: ?)("
    + _STRING
    + b"|"
    + _NUMBERS
    + rb'|\[(?:[^\]\["]|'
    + _STRING
    + b"|"
    + _NUMBERS
    + rb")*\])"
)
_WITHIN = re.compile(_STRING + b"|" + _NUMBERS)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_TO_ESCAPE = {
    **{code: f"\\u{code:04x}" for code in range(32)},
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    ord("\n"): "\\n",
    ord("\t"): "\\t",
}


def cursor_of(line: bytes) -> str:
    """The journal's name for a line; empty for a part of one, which the journal does not know."""
    found = CURSOR.search(line)
    return found[1].decode() if found and b";part=" not in found[1] else ""


def written(text: str) -> bytes:
    """A text as it stands between the quotes of a JSON string."""
    return text.translate(_TO_ESCAPE).encode("utf-8", "backslashreplace")


def read(raw: bytes) -> str:
    """The text that stands between the quotes of a JSON string."""
    text = raw.decode("utf-8", "replace")
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _SHORT.get(found[2], found[2]), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs become one character


def record(**fields: object) -> bytes:
    """A line of these fields."""
    return (
        b"{" + b",".join(b'"%b":"%b"' % (name.encode(), written(str(value))) for name, value in fields.items()) + b"}"
    )


def with_field(line: bytes, name: bytes, value: object) -> bytes:
    """The line with one more field, put first. `value` is written as it is."""
    return b'{"%b":"%b",%b' % (name, str(value).encode(), line[1:])


def with_texts(line: bytes, change: Callable[[str, str], str]) -> bytes:
    """The line with each of its texts as `change(name, text)` gives it; bytes that are no UTF-8 count as text."""

    def field(found: re.Match[bytes]) -> bytes:
        name, value = read(found[2]), found[3]
        if value[:1] == b'"' or _WITHIN.fullmatch(value):
            return found[1] + _changed(name, value, change)
        return found[1] + _WITHIN.sub(lambda each: _changed(name, each[0], change), value)

    return _FIELD.sub(field, line)


def _changed(name: str, value: bytes, change: Callable[[str, str], str]) -> bytes:
    """One text, as a string or, where it is none to be printed, as an array of its bytes."""
    try:
        before = (
            read(value[1:-1])
            if value[:1] == b'"'
            else bytes(map(int, value[1:-1].split(b","))).decode("utf-8", "replace")
        )
    except ValueError:  # no bytes
        return value
    after = change(name, before)
    return value if after == before else b'"' + written(after) + b'"'
