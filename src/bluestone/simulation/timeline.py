"""Virtual time: what happens, when; and the time, which moves only from one event to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2026, 1, 1, tzinfo=UTC)


class Timeline:
    """Events in the order of their time; those of one instant in the order in which they were arranged."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def clock(self) -> datetime:
        """The time, in UTC."""
        return START + timedelta(seconds=self.seconds)

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Arrange an event for so many seconds from now."""
        heapq.heappush(self._queue, (self.seconds + seconds, next(self._order), event))

    def advance(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, and what is arranged happen, until something holds, at most for `seconds`.

        An event may itself let time pass; whatever else was arranged for then happens meanwhile.
        """
        end = self.seconds + seconds
        while not until():
            if not self._queue or self._queue[0][0] > end:
                self.seconds = max(self.seconds, end)
                return
            at, _, event = heapq.heappop(self._queue)
            self.seconds = max(self.seconds, at)
            event()
