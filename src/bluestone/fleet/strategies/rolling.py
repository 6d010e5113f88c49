"""Rolling: servers are rotated out of and into a cluster that stays up throughout."""

from __future__ import annotations

from collections.abc import Iterator

from bluestone.fleet.standing import View
from bluestone.fleet.strategies import steps
from bluestone.model.action import Action


def floor(view: View) -> int:
    """How many servers must serve throughout: the count less `max_unavailable`."""
    return steps.rotation_floor(view, _surge(view))


def next_steps(view: View, numbers: Iterator[int]) -> list[Action]:
    """What to do now: rotate, with at most `max_surge` servers more than the count."""
    return steps.rotate(view, numbers, surge=_surge(view), floor=floor(view))


def _surge(view: View) -> int:
    group = view.goal.group
    return group.rollout.max_surge.of(group.count, up=True)
