"""Several back ends as one: the project's own, and those of machines and projects that went before."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta

from bluestone.logs.backend import Backend
from bluestone.logs.query.archive import Writer
from bluestone.logs.query.arrivals import Arrivals
from bluestone.logs.query.asked import Query
from bluestone.logs.query.statistics import Histogram, Top, most, redrawn
from bluestone.logs.query.tail import Position
from bluestone.model.problem import Problem
from bluestone.model.record import Record

EVERY = 1 << 62
FINE = timedelta(minutes=1)


class Federated:
    """Asks all, and makes one answer of theirs. New lines come by the first alone: the others are at rest."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._all = tuple(backends)
        self._first = self._all[0]

    @property
    def damaged(self) -> list[str]:
        """Files of any of them."""
        return [file for each in self._all for file in each.damaged]

    def search(self, query: Query) -> Iterator[Record]:
        """The lines of all, in the order of time."""
        merged = heapq.merge(*(each.search(query) for each in self._all), key=lambda record: record.at)
        if query.limit is None:
            return merged
        found = list(merged)
        return iter((found[-query.limit :] if query.newest else found[: query.limit]) if query.limit else [])

    def follow(self, query: Query, done: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """What the others have, then what the first has and what comes to it, without a moment between."""
        if len(self._all) > 1:
            yield from Federated(self._all[1:]).search(query)
        yield from self._first.follow(query, done)

    def arrivals(self, query: Query, after: Position | None = None) -> Arrivals:
        """Those of the first."""
        return self._first.arrivals(query, after)

    def histogram(self, query: Query, step: timedelta | None = None) -> Histogram:
        """The sums of all."""
        return redrawn([each.histogram(query, step or FINE) for each in self._all], step)

    def top(self, query: Query, field: str, count: int) -> Top:
        """The sums of all: of every value, since what is rare in each may be frequent in all together."""
        found: Counter[str] = Counter()
        for each in self._all:
            found.update(dict(each.top(query, field, EVERY).values))
        return most(found, count)

    def writers(self, server: str | None = None) -> Sequence[Writer]:
        """Those of all, by name."""
        return sorted(
            (each for one in self._all for each in one.writers(server)), key=lambda each: each.identity.server
        )

    def close(self) -> None:
        """Close all."""
        for each in self._all:
            with suppress(Problem):
                each.close()
