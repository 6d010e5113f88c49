"""The port behind which lines go on to: a sink gets every acknowledged line, besides the store, and later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from bluestone.model.record import Identity


class Given(NamedTuple):
    """A line as a sink gets it. `at` is in microseconds since 1970.

    `name` is the same whenever the line is given again: by it a sink keeps the line once.
    """

    name: str
    identity: Identity
    at: int
    original: bytes


class Unavailable(Exception):
    """A sink cannot take lines now, and why; they are to be given again later."""


class Sink(Protocol):
    """One place where lines go. Used by one thread."""

    def take(self, lines: Sequence[Given]) -> int:
        """Return when all lines are there to stay; how many it will never take (it says they are malformed).

        Raises `Unavailable`: then any of them may be there or not.
        """

    def close(self) -> None:
        """Close what is open."""


class Chosen(msgspec.Struct, frozen=True):
    """A sink: its name, what opens it (`module:function`, which gets the options), and its options."""

    name: str
    opener: str
    options: dict[str, str] = {}


def encoded(sinks: Sequence[Chosen]) -> bytes:
    """The sinks as JSON, for the program that gives them lines."""
    return msgspec.json.encode(list(sinks)) + b"\n"
