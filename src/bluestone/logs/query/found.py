"""Lines that were found: where each stands in the order of time, and which are nearest to an end of it."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

from bluestone.logs.query.entry import Entry
from bluestone.model.record import Record


class Place(NamedTuple):
    """Where a line stands in the order of time: lines of one instant in the order of arrival."""

    at: int
    source: str
    line: int


Found = tuple[Place, Entry]

SOME = 256
"""Lines beyond twice those that are wanted, at which those that are too many go."""


class Nearest:
    """The newest or the oldest lines of those that are offered, at most `limit`."""

    def __init__(self, limit: int, *, newest: bool) -> None:
        self._limit, self._newest = limit, newest
        self._best: list[Found] = []
        self._in_order = 0
        """How many of them were there when they were put in order, the nearest first."""

    def offer(self, found: Found) -> None:
        """One more."""
        self._best.append(found)
        if len(self._best) >= 2 * self._limit + SOME:
            self._cut()

    def complete(self, at: int) -> bool:
        """Whether no line of that time, or further away, is wanted any more."""
        if len(self._best) < self._limit:
            return False
        self._cut()
        last = self._best[-1][0].at
        return at < last if self._newest else at > last

    def found(self) -> list[Found]:
        """The lines, the oldest first."""
        self._cut()
        return self._best[::-1] if self._newest else list(self._best)

    def _cut(self) -> None:
        # All at once, and sorted: a heap would compare each line, in Python, with several others.
        if self._in_order < len(self._best):
            self._best.sort(key=place_of, reverse=self._newest)
            del self._best[self._limit :]
            self._in_order = len(self._best)


def record_of(found: Found) -> Record:
    """The line, for people."""
    place, entry = found
    return entry.record(f"raw;{place.source};{place.line}")


place_of: Callable[[Found], Place] = itemgetter(0)
"""Where it stands."""
