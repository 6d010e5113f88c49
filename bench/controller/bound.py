"""How long a part of the benchmark may take, and what is said of one that was cut.

A part looks at its `Bound` between two runs and ends with what it has. One that does not come to look, as what it waits
for hangs, is ended from outside `GRACE` later; its context managers clean up, and it has no figures.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SETUP = 120.0
"""Seconds that a part has until it begins to measure: the first builds images."""

GRACE = 30.0
"""Seconds that a part has beyond its bound, for the run that is under way and for cleaning up."""


class OutOfTime(BaseException):
    """A part did not end. No `except Exception` on the way takes it for a fault of its own."""


class Bound:
    """`seconds` from the beginning on; infinite if whoever measures has the time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.reason = ""
        """Why there are fewer runs than were asked for; empty if there are not."""
        self._ends = 0.0
        self.begin()

    def begin(self) -> None:
        """What was to be made ready is: the time counts from here."""
        self._ends = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._ends - time.monotonic())

    def over(self, done: int, wanted: int) -> bool:
        """Whether the time is over before `wanted` runs are `done`; that is then the reason."""
        if self.left or done >= wanted:
            return False
        self.reason = f"{done} of {wanted} in the {self.seconds:g} s that it may take"
        return True


Measure = Callable[[Bound], dict[str, float]]


@dataclass(frozen=True)
class Part:
    """Something that is measured: the keys of its figures, within so many seconds."""

    measure: Measure
    seconds: float
    keys: tuple[str, ...]

    def run(self, seconds: float) -> tuple[dict[str, float | None], str]:
        """Its figures (None for each of `keys` that there is no figure for), and why it was cut, if it was."""
        bound = Bound(seconds)
        found: dict[str, float] = {}
        try:
            with _ended_after(SETUP + seconds + GRACE):
                found = self.measure(bound)
        except OutOfTime:
            bound.reason = f"it did not end within {SETUP + seconds + GRACE:g} s"
        except (Exception, SystemExit) as error:  # noqa: BLE001
            # The other parts are still to be measured. What is missing is told, and the command fails.
            bound.reason = f"{type(error).__name__}: {error}"
        return dict.fromkeys(self.keys) | found, bound.reason


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in this thread when it has taken that long."""

    def end(_: int, __: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds if seconds != float("inf") else 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
