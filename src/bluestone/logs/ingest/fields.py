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
    for name, value in document.items():
        kind = type(value)
        if kind is str:  # most of them
            found[name] = value
        elif kind is int or kind is float:
            found[name] = repr(value)
        elif value is not None:
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
