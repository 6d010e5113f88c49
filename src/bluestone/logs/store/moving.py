"""Moves lines of a store of format 1, where they were rows of the catalogue, to where they are kept now."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable

from bluestone.logs.ingest.lines import Line, parse_line

AT_ONCE = 10_000

SELECT = """
SELECT old_lines.id, server, dictionary, original, at FROM old_lines JOIN servers ON servers.id = server
ORDER BY old_lines.id LIMIT ?
"""


def move(database: sqlite3.Connection, append: Callable[[int, list[Line]], object]) -> None:
    """Append what is there in the order of arrival, and forget it here; may be ended at any moment and begun again.

    A line that was appended before such an end is known by its name, and not stored twice.
    """
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'old_lines'").fetchone():
        return
    while rows := database.execute(SELECT, (AT_ONCE,)).fetchall():
        batch: list[Line] = []
        for place, (_, server, dictionary, packed, at) in enumerate(rows):
            original = zlib.decompressobj(zdict=dictionary).decompress(packed)
            batch.append(parse_line(original, at))
            if place + 1 == len(rows) or rows[place + 1][1] != server:
                append(server, batch)
                batch = []
        database.execute("DELETE FROM old_lines WHERE id <= ?", (rows[-1][0],))
    database.execute("DROP TABLE old_lines")
