"""Which size and zone a server is asked for in: the first of a group's choices that is not known to be full. Pure.

A server stays what it is until it is replaced for another reason: only then the first choice is asked for again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bluestone.fleet.standing import View
from bluestone.model.group import Choice
from bluestone.model.plan import Goal

FULL_FOR = timedelta(minutes=2)
"""How long a choice for which there was no room is not asked for again."""


def choices(goal: Goal, slot: int) -> list[Choice]:
    """The sizes and zones in which a slot's server may be had, the one that is wanted most first.

    Another zone comes before another size, and slots begin with different zones, so that the loss of one does not take
    all servers away. A single one is no choice.
    """
    sizes = (goal.generation.config.resources, *goal.group.fallback)
    zones = goal.group.zones or ("",)
    turn = (slot - 1) % len(zones)
    return [Choice(size, zone) for size in sizes for zone in zones[turn:] + zones[:turn]]


def choose(seen: View, slot: int) -> tuple[Choice | None, str]:
    """The choice for a slot's server, and why it is not the first, if it is not. None if there is no choice.

    Where all are full, it is the one that was so longest ago.
    """
    group = seen.goal.group
    if not (group.fallback or group.zones):
        return None, ""
    found = choices(seen.goal, slot)
    full = seen.memory.full.get(group.name, {})
    choice = min(found, key=lambda each: at.timestamp() if (at := _full_since(each, full, seen.at)) else 0.0)
    passed = [str(each) for each in found[: found.index(choice)]]
    return choice, f"; it gets {choice}, as there was no room for {', nor '.join(passed)}" if passed else ""


def full_until(seen: View) -> datetime | None:
    """When one of a group's choices may be asked for again, if all are full now; None while one is not."""
    group = seen.goal.group
    full = seen.memory.full.get(group.name, {})
    if not full or not (group.fallback or group.zones):
        return None
    since = [_full_since(each, full, seen.at) for each in choices(seen.goal, 1)]
    known = [at for at in since if at]
    return min(known) + FULL_FOR if len(known) == len(since) else None


def _full_since(choice: Choice, full: dict[str, datetime], now: datetime) -> datetime | None:
    at = full.get(str(choice))
    return at if at and now < at + FULL_FOR else None
