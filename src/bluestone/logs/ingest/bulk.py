"""Elasticsearch's bulk requests: their bodies and answers. Pure, and refuses no document: it is stored as it can be."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from bluestone.logs.ingest.lines import Line, parse_line

ACTIONS = ("create", "index", "update", "delete")
LONGEST = 1 << 20
"""Bytes of a document; of a longer one this much is kept, as text, with a mark."""

MOST = 100_000
"""Items of one request."""

CREATED, ABSENT, BUSY = 201, 404, 429


class Item(NamedTuple):
    """One action, and its status in the answer."""

    action: str
    status: int


class Bulk(NamedTuple):
    """What a request asks for: an answer's item for each action, and the lines to be stored."""

    items: list[Item]
    lines: list[Line]


class TooMany(ValueError):
    """More than `MOST` items."""


def parse_bulk(body: bytes, received: int, index: str = "") -> Bulk:
    """Read a body; `received` (microseconds since 1970) dates documents without a time. Raises `TooMany`.

    A line that should be an action and is none is stored as a document of its own. Nothing is ever deleted: a
    `delete` is answered as if there were no such document.
    """
    items: list[Item] = []
    lines: list[Line] = []
    pending: tuple[str, dict[str, Any]] | None = None
    for line in body.split(b"\n"):
        if len(items) > MOST:
            raise TooMany
        line = line.strip(b"\r")
        if pending is None:
            if not line:
                continue
            pending = _action(line)
            if pending is None:
                items.append(Item("create", CREATED))
                lines.append(parse_line(_document(line, {}, index), received))
            elif pending[0] == "delete":
                items.append(Item("delete", ABSENT))
                pending = None
            continue
        action, named = pending
        pending = None
        items.append(Item(action, CREATED))
        lines.append(parse_line(_document(line, named, index), received))
    return Bulk(items, lines)


def answer(items: list[Item], took: int = 0) -> bytes:
    """An answer with the least that clients need: full ones overflow the buffer of Fluent Bit."""
    failed = any(item.status >= 400 and item.status != ABSENT for item in items)
    return msgspec.json.encode(
        {"took": took, "errors": failed, "items": [{item.action: {"status": item.status}} for item in items]}
    )


def refused(items: list[Item], what: str) -> bytes:
    """An answer by which every client sends all of it again: with HTTP status 429, and each item with 429.

    rsyslog loses a batch whose answer has no items, Fluent Bit the refused part of one with status 200.
    """
    error = {"type": "es_rejected_execution_exception", "reason": what}
    return msgspec.json.encode(
        {"took": 0, "errors": True, "items": [{item.action: {"status": BUSY, "error": error}} for item in items]}
    )


def _action(line: bytes) -> tuple[str, dict[str, Any]] | None:
    try:
        found = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(found) != 1:
        return None
    ((action, named),) = found.items()
    if action not in ACTIONS or not isinstance(named, dict | None):
        return None
    return action, named or {}


def _document(content: bytes, named: dict[str, Any], index: str) -> bytes:
    """A document as a line, which knows its index and its id."""
    more = {}
    if where := named.get("_index") or index:
        more["_index"] = str(where)
    if (name := named.get("_id")) is not None:
        more["_id"] = str(name)
    content = content.strip()
    if len(content) > LONGEST:
        kept = content[:LONGEST].decode(errors="replace")
        return msgspec.json.encode({"message": kept, "_cut_from_bytes": len(content), **more})
    if not _is_object(content):
        return msgspec.json.encode({"message": content.decode(errors="replace"), **more})
    if not more:
        return content
    # At the end: where a name occurs twice the last one counts, and the index and the id are not the document's to say.
    rest = content[:-1].rstrip()
    return rest + (b"" if rest.endswith(b"{") else b",") + msgspec.json.encode(more)[1:]


def _is_object(content: bytes) -> bool:
    try:
        _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


_decoder = msgspec.json.Decoder(dict[str, Any])
