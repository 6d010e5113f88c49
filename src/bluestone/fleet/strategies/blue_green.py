"""Blue-green: a whole new set is started beside the old one; the old is destroyed last."""

from __future__ import annotations

from collections.abc import Iterator

from bluestone.fleet import canary
from bluestone.fleet.budget import Budget
from bluestone.fleet.standing import Member, View
from bluestone.fleet.strategies import steps
from bluestone.model.action import Action


def next_steps(view: View, budget: Budget, numbers: Iterator[int]) -> list[Action]:
    """What to do now.

    All new servers start at once, after the canaries if there are any. None but these gets requests before all are
    healthy, unless no old server serves. When all serve, the old are detached; they stay for `keep`, so that a
    rollback only needs the balancer.
    """
    count = view.goal.group.count
    first = canary.awaited(view)
    gone = _superseded(view)
    surplus = steps.surplus(view)
    wanted = [m for m in view.new if m not in surplus] if surplus else view.new
    actions = steps.retire(view, gone, "an older generation than the one kept for a rollback") if gone else []
    if not gone:
        missing = min((first or count) - len(view.new), budget.room(view))
        actions += steps.create(view, missing, numbers)
    actions += steps.enrol(view)

    able = [m for m in wanted if m.stance in ("ready", "proving", "serving")]
    if first:
        actions += steps.attach(view, wanted[:first], "healthy; a canary")
    elif len(able) == count or not any(m.attached for m in view.old):
        actions += steps.attach(view, wanted, "healthy, and so are all of its generation")

    switched = sum(m.stance == "serving" for m in wanted) == count
    if switched and not first:
        if view.old:
            actions += steps.retire(view, [m for m in view.old if m.attached], _why_go(view))
            actions += steps.retire(view, _expired(view, gone), "replaced; no longer kept for a rollback")
        if surplus:
            leaving = steps.spare(view, budget.floor, surplus)
            actions += steps.retire(view, leaving, steps.why_surplus(view))
    return actions


def kept_until_settled(view: View) -> bool:
    """Whether old servers are being kept for a rollback now."""
    return any(not m.attached for m in view.old) and not _expired(view, [])


def _why_go(view: View) -> str:
    return next((m.taint for m in view.old if m.attached and m.taint), "all new servers serve")


def _superseded(view: View) -> list[Member]:
    """Detached old servers of any but the newest old generation."""
    foreign = [m for m in view.old if m.foreign]
    if not foreign:
        return []
    newest = max(
        (m.server.generation for m in foreign if m.attached),
        default=max((m.server.generation for m in foreign), default=0),
    )
    return [m for m in foreign if not m.attached and m.server.generation != newest]


def _expired(view: View, gone: list[Member]) -> list[Member]:
    """Detached old servers whose time as a way back is over, or that are none: they failed, or are tainted."""
    detached = [m for m in view.old if not m.attached and m not in gone]
    group, keep = view.goal.group, view.goal.group.rollout.keep
    settled = view.memory.settled_at.get(group.name)
    if not keep or not group.count or (settled is not None and view.at >= settled + keep):
        return detached
    failed = view.memory.quarantined.get(group.name, {})
    return [m for m in detached if m.taint or m.server.generation in failed]
