"""Blue-green: a whole new set is started beside the old one; the old is destroyed last."""

from __future__ import annotations

from collections.abc import Iterator

from bluestone.fleet.standing import Member, View
from bluestone.fleet.strategies import steps
from bluestone.model.action import Action


def floor(view: View) -> int:
    """How many servers must serve throughout: all."""
    return view.goal.group.count


def next_steps(view: View, numbers: Iterator[int]) -> list[Action]:
    """What to do now.

    All new servers start at once. None gets requests before all are healthy, unless no old server serves.
    When all serve, the old are detached; they stay for `keep`, so that a rollback only needs the balancer.
    """
    count = view.goal.group.count
    gone = _superseded(view)
    surplus = steps.surplus(view)
    wanted = [m for m in view.new if m not in surplus]
    actions = steps.retire(view, gone, "an older generation than the one kept for a rollback")
    if not gone:
        actions += steps.create(view, count - len(view.new), numbers, _why_create(view))
    actions += steps.enrol(view)

    able = [m for m in wanted if m.stance in ("ready", "serving")]
    old_serves = any(m.attached for m in view.old)
    if len(able) == count or not old_serves:
        actions += steps.attach(view, wanted, "healthy, and so are all of its generation")

    switched = sum(m.stance == "serving" for m in wanted) == count
    if switched:
        actions += steps.retire(view, [m for m in view.old if m.attached], "all new servers serve")
        actions += steps.retire(view, _expired(view, gone), "replaced; no longer kept for a rollback")
        leaving = steps.spare(view, floor(view), surplus)
        actions += steps.retire(view, leaving, "more servers than declared")
    return actions


def kept_until_settled(view: View) -> bool:
    """Whether old servers are being kept for a rollback now."""
    return bool(view.old) and not _expired(view, [])


def _why_create(view: View) -> str:
    generation = view.goal.generation.number
    return f"generation {generation} has {len(view.new)} of {view.goal.group.count} servers"


def _superseded(view: View) -> list[Member]:
    """Detached old servers of any but the newest old generation."""
    newest = max(
        (m.server.generation for m in view.old if m.attached),
        default=max((m.server.generation for m in view.old), default=0),
    )
    return [m for m in view.old if not m.attached and m.server.generation != newest]


def _expired(view: View, gone: list[Member]) -> list[Member]:
    """Detached old servers whose time as a way back is over."""
    detached = [m for m in view.old if not m.attached and m not in gone]
    keep = view.goal.group.rollout.keep
    settled = view.memory.settled_at.get(view.goal.group.name)
    if not keep or not view.goal.group.count:
        return detached
    return detached if settled is not None and view.at >= settled + keep else []
