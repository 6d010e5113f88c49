"""Several back ends as one: the project's own, and those of machines and projects that went before."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from itertools import chain, zip_longest

from bluestone.logs.backend import Arriving, Backend
from bluestone.logs.query.archive import Writer
from bluestone.logs.query.asked import Query
from bluestone.logs.query.statistics import Histogram, Top, most, redrawn
from bluestone.model.problem import Problem
from bluestone.model.record import Record

EVERY = 1 << 62
FINE = timedelta(minutes=1)
POLL = 0.1
"""Seconds between looks for new lines."""

BETWEEN = "_"
"""Stands between the positions of several in one."""


class Federated:
    """Asks all, and makes one answer of theirs."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._all = tuple(backends)

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
        """What all have, then what comes to any of them, without a moment between."""
        with closing(self.arrivals(query)) as tail:
            found = self.search(query)
            first = next(found, None)  # from here on it is settled which lines are found
            between = {_name(record): record for record in tail.fresh(_now())[0]}
            for record in found if first is None else chain([first], found):
                between.pop(_name(record), None)
                yield record
            yield from between.values()
            while True:
                last_round = done()
                yield from tail.fresh(_now())[0]
                if last_round:
                    return
                time.sleep(POLL)

    def arrivals(self, query: Query, after: str | None = None) -> Arriving:
        """Those of all. A store that was not among them when a position was taken is followed from now on."""
        positions = after.split(BETWEEN) if after else []
        return Together([each.arrivals(query, at) for each, at in zip_longest(self._all, positions[: len(self._all)])])

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


class Together:
    """What arrives in several, by the time at which it was written."""

    def __init__(self, arriving: Sequence[Arriving]) -> None:
        self._all = arriving

    def fresh(self, now: int) -> tuple[list[Record], str]:
        """What came to any since it was asked last, and the positions behind it."""
        found, positions = zip(*(each.fresh(now) for each in self._all), strict=True)
        return sorted(chain(*found), key=lambda record: record.at), BETWEEN.join(positions)

    def close(self) -> None:
        """Close all."""
        for each in self._all:
            each.close()


def _name(record: Record) -> tuple[str, str]:
    return record.identity.server, record.cursor


def _now() -> int:
    return time.time_ns() // 1000
