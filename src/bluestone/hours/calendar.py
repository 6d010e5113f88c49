"""Opening hours -> how many servers are wanted at an instant. Pure: the days that are holidays come in.

Rules are read on a wall clock (model.openings) and turned into UTC here: the library that reads them would lose an hour
of a window that begins in the hour which is repeated when summer time ends.

Where the clock is ambiguous, servers are up: a window begins when the clock first shows its beginning (or something
later, where that is skipped) and ends when it last shows its end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from msgspec import Struct

from bluestone.model.hours import Hours, Span
from bluestone.model.openings import DAY, windows

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock's


class Timetable(Struct, frozen=True):
    """From `instants[n]` (seconds of UTC since 1970) until the next, `counts[n]` servers are wanted.

    It is only known from the first instant until `end`.
    """

    instants: tuple[float, ...]
    counts: tuple[int, ...]
    end: float

    def count_at(self, seconds: float) -> int:
        """How many are wanted at an instant. Raises `LookupError` where that is not known."""
        if not self.instants[0] <= seconds < self.end:
            raise LookupError(seconds)
        return self.counts[bisect_right(self.instants, seconds) - 1]

    def next_change(self, seconds: float) -> float | None:
        """The first instant after this one at which another number is wanted; None if none is known."""
        place = bisect_right(self.instants, seconds)
        return self.instants[place] if place < len(self.instants) else None

    def most_between(self, begin: float, end: float) -> int:
        """The most that are wanted at any instant from `begin` until before `end`."""
        first, last = bisect_right(self.instants, begin) - 1, bisect_right(self.instants, end)
        inner = [n for n in range(max(first, 0), last) if self.instants[n] < end or n == first]
        return max((self.counts[n] for n in inner), default=0)

    def openings(self, begin: float, end: float) -> Iterator[tuple[float, int]]:
        """The instants in this stretch at which more are wanted than before, and how many then."""
        for place in range(max(bisect_right(self.instants, begin), 1), len(self.instants)):
            if self.instants[place] > end:
                return
            if self.counts[place] > self.counts[place - 1]:
                yield self.instants[place], self.counts[place]

    def spans(self) -> list[Span]:
        """All of it, as stretches of time."""
        edges = [*self.instants, self.end]
        return [
            Span(_instant(begin), _instant(end), count)
            for (begin, end), count in zip(pairwise(edges), self.counts, strict=True)
        ]


def timetable(hours: Hours, days: frozenset[date], first: date, last: date) -> Timetable:
    """The wanted counts from the beginning of `first` to the beginning of `last`, on the clock of the hours' zone.

    `days` are those that are holidays. Where periods overlap the larger count holds. Raises `Misread`.
    """
    zone = ZoneInfo(hours.zone)
    begin, end = instant_of(datetime.combine(first, time()), zone), instant_of(datetime.combine(last, time()), zone)
    edges: list[tuple[float, int, int]] = []
    for period in hours.periods:
        # A day more at each end: its windows may reach in, and reach further where the clock is set.
        for opens, closes in windows(period.when, days, first - DAY, last + DAY):
            since, until = instant_of(opens, zone), instant_of(closes, zone, ending=True)
            if since < until:
                edges += [(since, 1, period.count), (until, -1, period.count)]
    return _swept(sorted(edges), hours.minimum, begin, end)


def instant_of(wall: datetime, zone: ZoneInfo, *, ending: bool = False) -> float:
    """When a zone's clock shows a time: first, or last if `ending`; where it is skipped, when the clock jumps over it.

    Seconds of UTC since 1970. Differences of such instants are right where those of wall-clock times are not.
    """
    # By hand, as a year has a thousand of these; the zone takes a wall clock's time as one of its own.
    shown = (wall - _EPOCH).total_seconds()
    early = shown - _seconds(zone.utcoffset(wall))
    late = shown - _seconds(zone.utcoffset(wall.replace(fold=1)))
    if early <= late:
        return late if ending else early
    # Skipped: `early` reckons with the offset before the jump, `late` with the one after it; it lies between.
    before = datetime.fromtimestamp(late, zone).utcoffset()
    while early - late > 1:
        middle = (early + late) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            late = middle
        else:
            early = middle
    return float(early)


def _swept(edges: Sequence[tuple[float, int, int]], minimum: int, begin: float, end: float) -> Timetable:
    """The largest count of the windows that are open, at each instant where that changes."""
    open_: dict[int, int] = {}
    instants, counts = [begin], [minimum]
    for at, step, count in edges:
        open_[count] = open_.get(count, 0) + step
        now = max((c for c, number in open_.items() if number > 0), default=minimum)
        now = max(now, minimum)
        if at >= end:
            break
        if at <= begin or at == instants[-1]:
            counts[-1] = now
        elif now != counts[-1]:
            instants.append(at)
            counts.append(now)
    return _joined(instants, counts, end)


def _joined(instants: Iterable[float], counts: Iterable[int], end: float) -> Timetable:
    """Without instants at which nothing changes: windows that meet are one."""
    kept: list[tuple[float, int]] = []
    for at, count in zip(instants, counts, strict=True):
        if not kept or kept[-1][1] != count:
            kept.append((at, count))
    return Timetable(tuple(at for at, _ in kept), tuple(count for _, count in kept), end)


def _seconds(offset: timedelta | None) -> float:
    return offset.total_seconds() if offset else 0.0


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
