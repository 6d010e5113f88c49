"""How many lines a sink has yet to get, counted without reading any."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bluestone.logs.forward import Reached
from bluestone.logs.store import wal
from bluestone.logs.store.database import connect
from bluestone.logs.store.view import view


def lines_behind(directory: Path, reached: Reached) -> int:
    """Lines behind what a sink has, as they are given: what is sealed since then goes by whole segments.

    Raises `Problem`.
    """
    with closing(connect(directory)) as database:
        now = view(directory, database, {})
        try:
            select = "SELECT coalesce(sum(lines), 0) FROM segments WHERE last_wal BETWEEN ? AND ?"
            (sealed,) = database.execute(select, (reached.number, now.through)).fetchone()
            logs = [log for log in now.logs if log.number >= reached.number]
            return int(sealed) + sum(_lines(log.reader, log.number, log.end, reached) for log in logs)
        finally:
            now.close()


def _lines(reader: wal.Reader, number: int, end: int, reached: Reached) -> int:
    start = reached.place if number == reached.number else 0
    return sum(share.lines for frame in reader.frames(start, end) for share in frame.shares)
