"""Lines that were found: where each stands in the order of time, and which are nearest to an end of it."""

from __future__ import annotations

import heapq
from typing import NamedTuple

from bluestone.logs.query.entry import Entry
from bluestone.model.record import Record


class Place(NamedTuple):
    """Where a line stands in the order of time: lines of one instant in the order of arrival."""

    at: int
    source: str
    line: int


Found = tuple[Place, Entry]


class Nearest:
    """The newest or the oldest lines of those that are offered, at most `limit`."""

    def __init__(self, limit: int, *, newest: bool) -> None:
        self._limit, self._newest = limit, newest
        self._best: list[tuple[Rank, int, Found]] = []
        self._offered = 0

    def offer(self, found: Found) -> None:
        """One more."""
        self._offered += 1
        item = (Rank(found[0], newest=self._newest), self._offered, found)
        if len(self._best) < self._limit:
            heapq.heappush(self._best, item)
        elif self._best[0][0] < item[0]:
            heapq.heapreplace(self._best, item)

    def complete(self, at: int) -> bool:
        """Whether no line of that time, or further away, is wanted any more."""
        if len(self._best) < self._limit:
            return False
        last = self._best[0][2][0].at
        return at < last if self._newest else at > last

    def found(self) -> list[Found]:
        """The lines, the oldest first."""
        return sorted((found for _, _, found in self._best), key=place_of)


class Rank:
    """A place, the nearer to the wanted end of time the larger."""

    __slots__ = ("newest", "place")

    def __init__(self, place: Place, *, newest: bool) -> None:
        self.place, self.newest = place, newest

    def __lt__(self, other: Rank) -> bool:
        return self.place < other.place if self.newest else other.place < self.place


def record_of(found: Found) -> Record:
    """The line, for people."""
    place, entry = found
    return entry.record(f"raw;{place.source};{place.line}")


def place_of(found: Found) -> Place:
    """Where it stands."""
    return found[0]
