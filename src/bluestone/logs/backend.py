"""The port behind which lines are searched: what a query back end answers, whatever keeps the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from bluestone.logs.query.archive import Writer
from bluestone.logs.query.asked import Query
from bluestone.logs.query.statistics import Histogram, Top
from bluestone.model.record import Record


class Arriving(Protocol):
    """Lines as they arrive, for one who comes back for more: none is left out. May raise `Problem`."""

    def fresh(self, now: int) -> tuple[list[Record], str]:
        """What came since it was asked last, and the position behind it. `now` is in microseconds since 1970."""

    def close(self) -> None:
        """Close what is open."""


class Backend(Protocol):
    """One place where lines are searched. Used by one thread. All may raise `Problem`."""

    @property
    def damaged(self) -> list[str]:
        """Files that could not be read while it was last asked."""

    def search(self, query: Query) -> Iterator[Record]:
        """The lines a query asks for, the oldest first; with a limit the newest of them, or the oldest."""

    def follow(self, query: Query, done: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """What `search` finds, then every line as it arrives, until `done()` or for ever."""

    def arrivals(self, query: Query, after: str | None = None) -> Arriving:
        """What arrives from now on, or arrived since a position."""

    def histogram(self, query: Query, step: timedelta | None = None) -> Histogram:
        """Found lines over time, exactly; without a step, in as many bars as are good to look at."""

    def top(self, query: Query, field: str, count: int) -> Top:
        """The values that most of the found lines have, exactly: the most frequent first, then by value."""

    def writers(self, server: str | None = None) -> Sequence[Writer]:
        """All servers that ever could write (or the one of that name), by name."""

    def close(self) -> None:
        """Close what is open."""
