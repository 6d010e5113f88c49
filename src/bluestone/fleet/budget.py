"""How many servers of a group may be away, and how many more may exist: one answer for every cause of replacement.

A rollout, a taint (drift, a person, and whatever else comes) and a server to spare all draw on the same budget, since
each only makes a server one that has to go; how many go at once is said here alone. Pure.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from bluestone.fleet.standing import Member, View, pinned
from bluestone.model.plan import Goal


class Budget(Struct, frozen=True):
    """At least `floor` servers serve, and at most `cap` exist.

    Those that are dead do not count, nor do up to `leaving` of those that are idle on their way out: they serve nobody
    any more, and their successors need not wait until they have said their last lines.
    """

    floor: int
    cap: int
    leaving: int = 0

    def room(self, view: View) -> int:
        """How many servers more may be created now."""
        if not self.leaving:
            return self.cap - view.living
        idle = len([m for m in view.unsettled if is_idle(m)])
        return self.cap + min(idle, self.leaving) - view.living


def is_idle(member: Member) -> bool:
    """Whether a server is on its way out and holds no sessions, or is being stopped."""
    sessions = member.backend.sessions if member.backend else 0
    return member.stance == "leaving" or (member.stance == "drained" and not sessions)


def budget(view: View) -> Budget:
    """What a group's strategy and its limits allow now."""
    group = view.goal.group
    if group.rollout.strategy == "blue-green" and not view.pinned:
        largest = _largest_set(view) if len(view.old) > group.count else 0
        return Budget(group.count, group.count + max(group.count, largest))
    extra = surge(view.goal)
    return Budget(_rotation_floor(view.goal, extra), group.count + extra, leaving=extra)


def _largest_set(view: View) -> int:
    """How many servers the largest of the other generations has: a whole new set stands beside it, even if fewer are
    declared now. What is tainted, or of a third generation, has to go before its successor comes: also where its
    generation has become the one that is left, and so had a successor for it already."""
    taints = view.memory.taints
    sizes = Counter([m.server.generation for m in view.old if m.foreign and m.name not in taints])
    return max(sizes.values(), default=0)


def surge(goal: Goal) -> int:
    """How many servers more than its count a group that is rotated may have: none that has volumes, as a volume is on
    one server at a time."""
    if goal.group.rollout.strategy == "destroy-first" or pinned(goal):
        return 0
    return goal.group.rollout.max_surge.of(goal.group.count, up=True)


def _rotation_floor(goal: Goal, extra: int) -> int:
    """The count less `max_unavailable`.

    Where rounding leaves neither a surge nor an unavailable server, one may be away, or nothing could move.
    """
    group = goal.group
    away = group.rollout.max_unavailable.of(group.count, up=False)
    return max(0, group.count - (away if away or extra else 1))
