"""Lines as they arrive, for one who comes back for more."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from bluestone.logs.query.asked import Query
from bluestone.logs.query.found import record_of
from bluestone.logs.query.tail import Missed, Position, Tail, resumed
from bluestone.model.record import Record

if TYPE_CHECKING:
    from bluestone.logs.query.archive import Archive


class Arrivals:
    """Lines as they arrive, for a reader who comes back for more, also after having been away: none is left out.

    One who was away for so long that the log was sealed in between may get lines that it had already.
    """

    LATE = 3_600_000_000
    """Microseconds. Of what was sealed while a reader was away, lines that came later than this after they were written
    are left out: else it would get whole days again."""

    def __init__(
        self, archive: Archive, directory: Path, database: sqlite3.Connection, query: Query, since: str | None
    ) -> None:
        after = Position.parse(since) if since else None
        self._archive, self._query, self._node = archive, query, query.node
        self._begin = after.at - self.LATE if after else 0
        self._sealed: list[str] = []
        if after:
            self._tail, self._sealed = resumed(directory, database, after)
        else:
            now = archive.view()
            self._tail = Tail(directory, database, now)
            for log in now.logs[:-1]:  # the tail has the last one
                log.reader.close()

    def fresh(self, now: int) -> tuple[list[Record], str]:
        """What came since it was asked last, and the position behind it. `now` is in microseconds since 1970.

        Raises `Problem`.
        """
        found: list[Record] = []
        if self._sealed:
            again = self._archive.arrived(Missed(self._sealed), self._query, self._node)
            found += [record_of(each) for each in again if each[0].at >= self._begin]
            self._sealed = []
        for fresh in self._tail.fresh():
            found += map(record_of, self._archive.arrived(fresh, self._query, self._node))
        return found, str(Position(*self._tail.reached, now))

    def close(self) -> None:
        """Close what is open."""
        self._tail.close()
