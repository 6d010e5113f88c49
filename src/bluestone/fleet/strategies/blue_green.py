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
    rollback only needs the balancer. Never are there more than two sets: where a server is to be created and there
    is no room for it, others go first.
    """
    count = view.goal.group.count
    first = canary.awaited(view)
    gone = _superseded(view)
    idle = [m for m in view.old if m.taint and not m.attached and m.stance != "serving"]
    useless = steps.spare(view, budget.floor, idle) if idle else []
    surplus = steps.surplus(view)
    wanted = [m for m in view.new if m not in surplus] if surplus else view.new
    actions = steps.retire(view, gone, "an older generation than the one kept for a rollback") if gone else []
    actions += steps.retire(view, useless, "")
    missing, room = (first or count) - len(view.new), budget.room(view)
    if not gone:
        actions += steps.create(view, min(missing, room), numbers)
    if missing > room:
        going = len(gone) + len(useless) + sum(m.stance == "leaving" for m in view.unsettled)
        others = [m for m in _in_the_way(view, budget) if m not in gone and m not in useless]
        in_the_way = others[: max(0, missing - room - going)]
        actions += steps.retire(view, in_the_way, "it leaves its place to a successor")
    actions += steps.enrol(view)

    able = [m for m in wanted if m.stance in ("ready", "proving", "serving")]
    if first:
        actions += steps.attach(view, wanted[:first], "healthy; a canary")
    elif len(able) == count or not any(m.attached for m in view.old):
        actions += steps.attach(view, wanted, "healthy, and so are all of its generation")

    switched = sum([m.stance == "serving" for m in wanted]) == count
    if switched and not first:
        if view.old:
            actions += steps.retire(view, [m for m in view.old if m.attached], _why_go(view))
            actions += steps.retire(view, _expired(view, gone + useless), "replaced; no longer kept for a rollback")
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
    detached = [m for m in view.old if not m.attached and m.foreign]
    newest = _newest(view) if detached else 0
    return [m for m in detached if m.server.generation != newest]


def _newest(view: View) -> int:
    """The newest old generation: of those that get requests, if any do. 0 if there is none."""
    foreign = [m for m in view.old if m.foreign]
    return max([m.server.generation for m in [m for m in foreign if m.attached] or foreign], default=0)


def _in_the_way(view: View, budget: Budget) -> list[Member]:
    """Who goes so that there is room for the new, the first first: the tainted, and older generations than the newest,
    as far as the floor allows; then servers that are only kept for a rollback. None of the newest that gets requests.
    """
    newest = _newest(view)
    idle = [m for m in view.old if not m.attached and m.stance != "serving"]
    others = [m for m in view.old if m not in idle and (m.taint or m.server.generation != newest)]
    return steps.spare(view, budget.floor, others) + [m for m in idle if m.foreign]


def _expired(view: View, gone: list[Member]) -> list[Member]:
    """Detached old servers whose time as a way back is over, or that are none: they failed, or are tainted."""
    detached = [m for m in view.old if not m.attached and m not in gone]
    group, keep = view.goal.group, view.goal.group.rollout.keep
    settled = view.memory.settled_at.get(group.name)
    if not keep or not group.count or (settled is not None and view.at >= settled + keep):
        return detached
    failed = view.memory.quarantined.get(group.name, {})
    return [m for m in detached if m.taint or m.server.generation in failed]
