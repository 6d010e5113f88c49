"""A line while it is looked at: read no further than is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import msgspec

from bluestone.logs.ingest.fields import flat
from bluestone.logs.ingest.lines import INFO, Known
from bluestone.logs.query.nodes import ANY_FIELD, And, Leaf, Node, Not, Or
from bluestone.logs.store.words import written_as_it_is
from bluestone.model.record import Identity, Record

EPOCH = datetime.fromtimestamp(0, UTC)
OF_IDENTITY = ("server", "group", "generation", "image", "project")
"""Fields that come from who wrote a line, whatever the line says."""


_decoder = msgspec.json.Decoder(dict[str, Any])


class Entry:
    """A stored line."""

    __slots__ = ("__dict__", "_read", "at", "identity", "original")

    def __init__(self, identity: Identity, at: int, original: bytes) -> None:
        self.identity, self.at, self.original = identity, at, original
        self._read: tuple[dict[str, Any] | None, Known] | None = None

    # Not cached properties: in Python 3.11 each of these takes a lock.
    @property
    def _both(self) -> tuple[dict[str, Any] | None, Known]:
        if self._read is None:
            try:
                document = _decoder.decode(self.original)
                self._read = document, Known(document)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._read = None, Known({})
        return self._read

    @property
    def _document(self) -> dict[str, Any] | None:
        return self._both[0]

    @property
    def _known(self) -> Known:
        return self._both[1]

    @cached_property
    def fields(self) -> dict[str, str]:
        """The line's own fields, flat."""
        return flat(self._document or {})

    @property
    def message(self) -> str:
        """What it says."""
        said = self._known.written_message() if self._document is not None else None
        return self.original.decode(errors="replace") if said is None else said

    @property
    def severity(self) -> int:
        """Syslog's number."""
        return self._known.written_severity() if self._document is not None else INFO

    @property
    def unit(self) -> str:
        """What wrote it."""
        return self._known.written_unit()

    def value(self, field: str) -> str | None:
        """A field's value, as queries see it."""
        match field:
            case "message":
                return self.message
            case "severity":
                return str(self.severity)
            case "unit":
                return self.unit
            case "server" | "group" | "generation" | "image" | "project":
                return str(getattr(self.identity, field))
        return self.fields.get(field)

    def lacks(self, pieces: tuple[bytes, ...]) -> bool:
        """Whether one of these pieces of ASCII is surely not in its message: without reading its JSON."""
        lowered = self.original.lower()
        return not all(piece in lowered for piece in pieces) and written_as_it_is(lowered)

    def record(self, mark: str) -> Record:
        """For people. `mark` names it if it has no name of its own."""
        document, known = self._both
        said = None if document is None else known.written_message()
        return Record(
            cursor=known.name or mark,
            at=EPOCH + timedelta(0, 0, self.at),
            identity=self.identity,
            unit=known.written_unit(),
            severity=known.written_severity(),
            message=self.original.decode(errors="replace") if said is None else said,
            original=self.original,
        )


def holds(node: Node, entry: Entry) -> bool:
    """Whether a query finds a line."""
    match node:
        case Leaf(field, test):
            if field == ANY_FIELD:
                return test.holds(entry.message) or any(map(test.holds, entry.fields.values()))
            if field == "message" and entry.lacks(test.pieces):
                return False
            return test.holds(entry.value(field))
        case And(parts):
            return all(holds(part, entry) for part in parts)
        case Or(parts):
            return any(holds(part, entry) for part in parts)
        case Not(part):
            return not holds(part, entry)


def holds_of(node: Node, writer: Identity) -> bool:
    """Whether a query may find a line of this writer, by what it asks of writers alone: no line is read for that."""
    match node:
        case Leaf(field, test) if field in OF_IDENTITY:
            return test.holds(str(getattr(writer, field)))
        case And(parts):
            return all(holds_of(part, writer) for part in parts)
    return True
