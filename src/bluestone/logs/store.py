"""Keeps lines: durable when `append` returns, each once, compressed."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bluestone.logs.database import connect
from bluestone.logs.ingest import Line

DICTIONARY = 4096
LEVEL = 6
"""Measured on a Debian server's journal: a line of 1,024 bytes takes 594 alone, 202 with its server's first
4 KiB as zlib's preset dictionary; 16 KiB would save 18 more bytes and cost half of the speed."""

INSERT = """
INSERT OR IGNORE INTO lines (server, at, key, severity, unit, message, original) VALUES (?, ?, ?, ?, ?, ?, ?)
"""

MAX_PACKERS = 4096
"""How many servers' dictionaries are kept in memory."""


class Batch(NamedTuple):
    """Lines of one server (its id in the store), in the order in which they were written.

    `shipped` says whether its shipper sent them: only those does it count in its goodbye.
    """

    server: int
    lines: tuple[Line, ...]
    shipped: bool = True


class Row(NamedTuple):
    """A line as `INSERT` takes it."""

    server: int
    at: int
    key: int
    severity: int
    unit: str
    message: str
    original: bytes


class Store:
    """The writing end. One process at a time holds it (the receiver sees to that); any number may read."""

    def __init__(self, directory: Path) -> None:
        self._database = connect(directory)
        self._packers: dict[int, Packer] = {}

    def append(self, batches: Iterable[Batch]) -> None:
        """Store all batches in one transaction; a line that is there already is left as it is.

        Raises `sqlite3.Error`: then nothing of these batches was stored.
        """
        try:
            # Packed before the transaction begins: it is most of the work, and others want to write as well.
            packed = [(batch, self._pack(batch)) for batch in batches]
            self._database.execute("BEGIN IMMEDIATE")
            for batch, rows in packed:
                self._insert(batch, rows)
            self._database.execute("COMMIT")
            if len(self._packers) > MAX_PACKERS:
                self._packers.clear()
        except BaseException:
            self._packers.clear()  # a dictionary that was made just now is undone as well
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _pack(self, batch: Batch) -> list[Row]:
        pack = self._packer(batch).pack
        return [
            Row(batch.server, line.at, line.key, line.severity, line.unit, line.message, pack(line.original))
            for line in batch.lines
        ]

    def _insert(self, batch: Batch, rows: Sequence[Row]) -> None:
        execute, executemany = self._database.execute, self._database.executemany
        execute(
            "UPDATE servers SET dictionary = ? WHERE id = ? AND dictionary IS NULL",
            (self._packers[batch.server].dictionary, batch.server),
        )
        if not batch.shipped:
            executemany(INSERT, rows)
            return
        both = list(zip(batch.lines, rows, strict=True))
        if stored := executemany(INSERT, (row for line, row in both if line.goodbye is None)).rowcount:
            execute("UPDATE servers SET lines = lines + ?, goodbye = NULL WHERE id = ?", (stored, batch.server))
        for line, row in both:
            if line.goodbye is not None and execute(INSERT, row).rowcount:
                execute("UPDATE servers SET goodbye = ? WHERE id = ?", (line.goodbye, batch.server))

    def _packer(self, batch: Batch) -> Packer:
        if batch.server not in self._packers:
            select = "SELECT dictionary FROM servers WHERE id = ?"
            dictionary: bytes | None = self._database.execute(select, (batch.server,)).fetchone()[0]
            if dictionary is None:
                dictionary = b"\n".join(line.original for line in batch.lines[:32])[:DICTIONARY]
            self._packers[batch.server] = Packer(dictionary)
        return self._packers[batch.server]


class Packer:
    """Compresses the lines of one server with a dictionary of its own: they are much alike."""

    def __init__(self, dictionary: bytes) -> None:
        self.dictionary = dictionary

    def pack(self, original: bytes) -> bytes:
        """Compress one line."""
        squeeze = zlib.compressobj(LEVEL, zdict=self.dictionary)
        return squeeze.compress(original) + squeeze.flush()

    def unpack(self, packed: bytes) -> bytes:
        """The line again."""
        return zlib.decompressobj(zdict=self.dictionary).decompress(packed)


def is_full(error: sqlite3.Error) -> bool:
    """Whether SQLite could not write for want of space or for a failing disk."""
    primary = (error.sqlite_errorcode or 0) & 0xFF if isinstance(error, sqlite3.OperationalError) else 0
    return primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
