"""The life of one simulated controller process: where it can be killed or stopped, and what it still reaches then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from bluestone.model.problem import Problem

T = TypeVar("T")

CALLS = frozenset({"ensure", "is_running", "list_backends", "enrol", "attach", "detach", "dismiss"})
CALLS |= {"list_servers", "create", "destroy", "record"}
"""What a controller calls of provider, balancer and journal, and may be killed right before, and right after."""

FENCED = CALLS - {"ensure", "is_running", "list_backends", "list_servers"}
"""What only who leads may do: the lease is asked before it, or in the same transaction."""

EFFECTS = frozenset({"create", "destroy", "enrol", "attach", "detach", "dismiss", "record"})
"""What must never take effect once another leads."""


class Killed(BaseException):
    """The process was ended (kill -9): nothing of it runs any more, no `except` and no `finally` of ours counts."""


class Life:
    """One process. Its `points` are counted: at number `kill_at` it is killed, at `stop_at` it stands still.

    `died` is called when it has been killed; `stop` is called to let time pass for the others, and the process then
    goes on, not knowing that it stood still.
    """

    def __init__(
        self,
        kill_at: int = 0,
        stop_at: int = 0,
        *,
        died: Callable[[], None] = lambda: None,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.points = 0
        self.dead = False
        self.superseded = False
        self.stale = ""
        """What took effect although another led by then."""
        self.spared = False
        """Whether no more harm comes to it."""
        self._kill_at = kill_at
        self._stop_at = stop_at
        self._died = died
        self._stop = stop
        self._posthumous = False

    def point(self) -> None:
        """Come to a point between two steps. Raises `Killed` if the process does not get beyond it."""
        if self._posthumous or self.spared:
            return
        if not self.dead:
            self.points += 1
            if self.points == self._stop_at:
                self._stop()
            if self.points == self._kill_at:
                self.dead = True
                self._died()
        if self.dead:
            raise Killed

    @property
    def is_over(self) -> bool:
        """Whether what is done now was set going before the process ended."""
        return self._posthumous

    @contextmanager
    def after_death(self) -> Iterator[None]:
        """What is done here was set going before the process ended, and takes effect all the same."""
        self._posthumous = True
        try:
            yield
        finally:
            self._posthumous = False


def watched(target: T, life: Life, calls: Collection[str] = CALLS) -> T:
    """The same, with a point of this life before and after each of these calls."""
    return cast("T", _Watched(target, life, calls))


class _Watched:
    def __init__(self, target: object, life: Life, calls: Collection[str]) -> None:
        self._target = target
        self._life = life
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._calls:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._life.point()
            late = self._life.superseded and not self._life.is_over
            if name in FENCED and self._life.superseded:
                # As the lease does: it is looked at right before a call, and in the same transaction as a commit.
                raise Problem("another controller leads since this one stood still", left="nothing was done")
            try:
                done = found(*arguments, **named)
                if late and name in EFFECTS:
                    self._life.stale = name
                return done
            finally:
                self._life.point()

        return call
