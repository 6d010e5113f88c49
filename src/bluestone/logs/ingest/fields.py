"""A line's fields, flat: pure. Names of nested ones are joined by dots, values are text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bluestone.logs.ingest.lines import text

MOST = 256
"""Fields of one line; what is beyond stays in the line and is found by its words only."""

DEEPEST = 8
LONGEST_NAME = 200

_PLAIN = {str, int, float}
"""Kinds of values that are one text; of numbers it is what Python writes, as `text` does."""

_decoder = msgspec.json.Decoder(dict[str, Any])


def fields_of(original: bytes) -> dict[str, str]:
    """The fields of a line that is a JSON object; none of any other."""
    try:
        document = _decoder.decode(original)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return flat(document)


def flat(document: dict[str, Any]) -> dict[str, str]:
    """All scalars of a document by their dotted names, at most `MOST`."""
    found: dict[str, str] = {}
    own = document.get("FIELDS")  # what the receiver found in the message of a program
    if type(own) is dict:
        document = {**{name: value for name, value in document.items() if name != "FIELDS"}, **own}
    if _PLAIN.issuperset(map(type, document.values())):  # most are
        found = {name: value if type(value) is str else repr(value) for name, value in document.items()}
    else:
        for name, value in document.items():
            found.update(_spread(name, value, 1))
    if len(found) > MOST:
        return dict(list(found.items())[:MOST])
    return found


def _spread(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < DEEPEST and len(name) < LONGEST_NAME:
        for key, inner in value.items():
            yield from _spread(f"{name}.{key}", inner, depth + 1)
    elif value is not None:
        yield name, text(value)
