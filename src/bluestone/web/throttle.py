"""Who guesses must wait: ever longer for each address that failed. Pure: time comes in."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

FREE = 5
"""Failures that cost nothing: people mistype."""

FIRST, LONGEST = timedelta(seconds=1), timedelta(minutes=5)
FORGOTTEN = timedelta(hours=1)
MOST = 10_000
"""Addresses that are remembered; beyond, those that failed longest ago are not."""


class Throttle:
    """Failures by address. After `FREE` of them each doubles the wait, up to `LONGEST`."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def wait(self, address: str, now: datetime) -> timedelta:
        """How long an address must wait before it may try again; zero if it need not."""
        count, last = self._failed.get(address, (0, now))
        if count < FREE:
            return timedelta(0)
        pause = min(LONGEST, FIRST * (1 << min(count - FREE, 20)))
        return max(timedelta(0), last + pause - now)

    def fail(self, address: str, now: datetime) -> None:
        """It failed."""
        count, last = self._failed.pop(address, (0, now))
        self._failed[address] = (1 if now - last > FORGOTTEN else count + 1, now)
        while len(self._failed) > MOST:
            self._failed.popitem(last=False)

    def succeed(self, address: str) -> None:
        """It is who it says."""
        self._failed.pop(address, None)
