"""Every IANA zone over ten years, against the C library: when a clock first and last shows a time.

The oracle knows nothing of Python's `zoneinfo`: it asks localtime(3) what the clock shows, minute by minute around each
change of the clock, and noon by noon elsewhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from bluestone.hours.calendar import instant_of

FIRST, YEARS = 2026, 10
DAY, MINUTE = 86400, 60
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock's


def measure() -> tuple[int, int, int, list[str]]:
    """How many zones, comparisons and errors there were, and the first errors."""
    zones = compared = 0
    wrong: list[str] = []
    for name in sorted(available_timezones()):
        if not (Path("/usr/share/zoneinfo") / name).is_file():
            continue
        zones += 1
        with _clock_of(name):
            for wall, first, last in _truth():
                compared += 2
                zone = ZoneInfo(name)
                found = instant_of(wall, zone), instant_of(wall, zone, ending=True)
                if found != (first, last):
                    wrong.append(f"{name} {wall}: {found}, the C library has {(first, last)}")
    return zones, compared, len(wrong), wrong[:5]


@contextmanager
def _clock_of(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def _shown(at: int) -> datetime:
    """What the clock shows."""
    return datetime(*time.localtime(at)[:6])  # noqa: DTZ001 - a wall clock's


def _truth() -> Iterator[tuple[datetime, int, int]]:
    """Times of the clock, and the first and last instants at which it shows them, or jumps over them."""
    begin = int((EPOCH.replace(year=FIRST) - EPOCH).total_seconds())
    offset = None
    for day in range(YEARS * 365 + 2):
        at = begin + day * DAY + DAY // 2
        now = _offset(at)
        if offset is not None and now != offset:
            yield from _around(at - DAY, at)
        elif day % 7 == 0:
            yield from _around_noon(at)
        offset = now


def _around_noon(at: int) -> Iterator[tuple[datetime, int, int]]:
    yield _shown(at), at, at


def _around(begin: int, end: int) -> Iterator[tuple[datetime, int, int]]:
    """The hours around the setting of a clock: each fifth minute that it shows or skips."""
    before = _offset(begin)
    while end - begin > MINUTE:
        middle = begin + (end - begin) // MINUTE // 2 * MINUTE
        begin, end = (middle, end) if _offset(middle) == before else (begin, middle)
    # So far that a time which is shown twice is so within, also where the clock is set by a day.
    reach = abs(_offset(end) - before) // MINUTE + 60
    shown = [(end + n * MINUTE, _shown(end + n * MINUTE)) for n in range(-reach, reach)]
    first: dict[datetime, int] = {}
    last: dict[datetime, int] = {}
    for at, wall in shown:
        first.setdefault(wall, at)
        last[wall] = at
    for (_, earlier), (at, wall) in pairwise(shown):
        skipped = earlier + timedelta(minutes=1)
        while skipped < wall:
            first[skipped] = last[skipped] = at
            skipped += timedelta(minutes=1)
    # At the edges it cannot be told whether a time is shown once more beyond them.
    low, high = _shown(end - 55 * MINUTE), _shown(end + 55 * MINUTE)
    low, high = min(low, high), max(low, high)
    yield from (
        (wall, first[wall], last[wall]) for wall in sorted(first) if low <= wall <= high and not wall.minute % 5
    )


def _offset(at: int) -> int:
    return int((_shown(at) - EPOCH).total_seconds()) - at
