"""A command that a daemon works on, and whoever waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from bluestone.daemon.messages import Ask, Message


class Interrupted(Exception):
    """The work on a command is left, since nobody waits for it any more or the daemon ends; what has begun is kept."""


class Job:
    """One command. `tell` hands its messages to whoever waits; it never blocks."""

    def __init__(self, ask: Ask, tell: Callable[[Message], None]) -> None:
        self.ask = ask
        self.tell = tell
        self.since = datetime.now(UTC)
        self._left = threading.Event()

    def leave(self) -> None:
        """Nobody waits for it any more."""
        self._left.set()

    @property
    def left(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._left.is_set()

    def wait_until_left(self, seconds: float) -> bool:
        """Wait at most so long; return whether nobody waits any more."""
        return self._left.wait(seconds)

    def __str__(self) -> str:
        """As others are told of it."""
        return f"`bluestone {self.ask.verb}` by {self.ask.by}, since {self.since:%H:%M:%S} UTC"
