"""Floors and caps as they are declared, counted apart from the planner's budget, which they are held against. Pure."""

from __future__ import annotations

from bluestone.model.group import Group


def floor_of(group: Group) -> int:
    """How many servers of a group must serve while it is led from one generation to the next."""
    policy, count = group.rollout, group.count
    if policy.strategy == "blue-green":
        return count
    away = policy.max_unavailable.of(count, up=False)
    return max(0, count - max(away, 0 if surge_of(group) else 1))


def cap_of(group: Group) -> int:
    """How many servers of a group may exist while it is led from one generation to the next, but for those that go."""
    policy, count = group.rollout, group.count
    if policy.strategy == "blue-green":
        return 2 * count
    return count + surge_of(group)


def surge_of(group: Group) -> int:
    """How many servers more than its count a group that is rotated may have."""
    policy = group.rollout
    return policy.max_surge.of(group.count, up=True) if policy.strategy == "rolling" else 0
