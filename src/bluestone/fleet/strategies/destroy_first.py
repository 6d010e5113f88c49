"""Destroy-first: an old server goes before its successor comes, where a second costs too much."""

from __future__ import annotations

from collections.abc import Iterator

from bluestone.fleet.standing import View
from bluestone.fleet.strategies import steps
from bluestone.model.action import Action


def floor(view: View) -> int:
    """How many servers must serve throughout: the count less `max_unavailable`, which may leave none."""
    return steps.rotation_floor(view, surge=0)


def next_steps(view: View, numbers: Iterator[int]) -> list[Action]:
    """What to do now: rotate without ever having a server more than the count.

    The slot that is freed, with its address, is then the lowest free one: the successor gets it.
    """
    return steps.rotate(view, numbers, surge=0, floor=floor(view))
