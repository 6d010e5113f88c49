"""Rolling and destroy-first: servers are rotated out of and into a group that stays up.

Both are the same rotation; they differ in their budget. Destroy-first never has more servers than the count: the slot
that is freed, with its address, is then the lowest free one, and the successor gets it.
"""

from __future__ import annotations

from collections.abc import Iterator

from bluestone.fleet import canary
from bluestone.fleet.budget import Budget
from bluestone.fleet.standing import Member, View
from bluestone.fleet.strategies import steps
from bluestone.model.action import Action


def next_steps(view: View, budget: Budget, numbers: Iterator[int]) -> list[Action]:
    """What to do now.

    New servers are created as far as the budget's cap allows, old ones detached as far as its floor does. While
    canaries are awaited there are no more new servers than those, and no more old ones go than make room for them.
    """
    count = view.goal.group.count
    first = canary.awaited(view)
    missing = (first or count) - len(view.new)
    excess = steps.surplus(view)
    wanted = [m for m in view.new if m not in excess] if excess else view.new
    actions = steps.create(view, min(missing, budget.room(view)), numbers) if missing > 0 else []
    actions += steps.enrol(view)
    actions += steps.attach(view, wanted, "healthy")
    if view.old:
        leaving = steps.spare(view, budget.floor, view.old)
        if first:
            leaving = _room_for_canaries(view, leaving)
        actions += steps.retire(view, leaving, f"replaced by generation {view.goal.generation.number}")
    elif excess:
        actions += steps.retire(view, steps.spare(view, budget.floor, excess), steps.why_surplus(view))
    return actions


def _room_for_canaries(view: View, leaving: list[Member]) -> list[Member]:
    """Those that are on their way already, and as many others as the canaries need the places of."""
    staying = {m.name for m in view.old if m.attached or m.stance == "serving"}
    others = [m for m in leaving if m.name in staying]
    return [m for m in leaving if m.name not in staying] + others[: max(0, len(staying) - canary.leave(view))]
