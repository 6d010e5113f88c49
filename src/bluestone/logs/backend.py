"""The port behind which lines are searched: what a query back end answers, whatever keeps the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from bluestone.logs.query.archive import Writer
from bluestone.logs.query.arrivals import Arrivals
from bluestone.logs.query.asked import Query
from bluestone.logs.query.statistics import Histogram, Top
from bluestone.logs.query.tail import Position
from bluestone.model.record import Record


class Backend(Protocol):
    """One place where lines are searched. Used by one thread. All may raise `Problem`."""

    @property
    def damaged(self) -> list[str]:
        """Files that could not be read while it was last asked."""

    def search(self, query: Query) -> Iterator[Record]:
        """The lines a query asks for, the oldest first; with a limit the newest of them, or the oldest."""

    def follow(self, query: Query, done: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """What `search` finds, then every line as it arrives, until `done()` or for ever."""

    def arrivals(self, query: Query, after: Position | None = None) -> Arrivals:
        """What arrives from now on, or arrived since a position."""

    def histogram(self, query: Query, step: timedelta | None = None) -> Histogram:
        """Found lines over time, exactly; without a step, in as many bars as are good to look at."""

    def top(self, query: Query, field: str, count: int) -> Top:
        """The values that most of the found lines have, exactly: the most frequent first, then by value."""

    def writers(self, server: str | None = None) -> Sequence[Writer]:
        """All servers that ever could write (or the one of that name), by name."""

    def close(self) -> None:
        """Close what is open."""
