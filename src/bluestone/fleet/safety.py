"""May this action be taken, and if not, why: the last look at every action before it is taken.

Strategies already keep to these rules. They are checked again here, apart from any strategy, so that a
mistake in one of them delays a rollout instead of ending service. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from bluestone.fleet.budget import Budget
from bluestone.fleet.standing import Member, View
from bluestone.model.action import Action, Attach, Create, Destroy, Detach, Dismiss


class Refusal(Struct, frozen=True):
    """An action that is not taken now, and why."""

    action: Action
    why: str


def permit(actions: Iterable[Action], view: View, budget: Budget) -> tuple[tuple[Action, ...], tuple[Refusal, ...]]:
    """Sort a group's actions into those that may be taken, in their order, and those that may not."""
    spare = view.staying - budget.floor
    room: int | None = None
    allowed: list[Action] = []
    refused: list[Refusal] = []
    for action in actions:
        member = view.by_name.get(action.server)
        if isinstance(action, Create):
            room = budget.room(view) if room is None else room
            why = _no_place(action, view, room, budget)
            room -= 1 if why is None else 0
        else:
            why = _objection(action, member, view, spare) if member else None
        if why is not None:
            refused.append(Refusal(action, why))
            continue
        if member and member.stance == "serving" and _takes_capacity(action, member):
            spare -= 1
        allowed.append(action)
    return tuple(allowed), tuple(refused)


def _no_place(action: Create, view: View, room: int, budget: Budget) -> str | None:
    if room <= 0:
        return f"no more than {budget.cap} may exist"
    if view.pinned and action.slot in view.taken_slots:
        return f"another server has the volumes of slot {action.slot}"
    return None


def _objection(action: Action, member: Member, view: View, spare: int) -> str | None:
    if member.pending:
        return "another action on it is under way"
    if member.stance == "serving" and spare <= 0 and _takes_capacity(action, member):
        return f"it serves, and only {len(view.serving)} do"
    match action:
        case Attach() if member.backend is None or member.backend.health != "up":
            return "it is not healthy"
        case Dismiss() | Destroy() if member.stance == "forgotten" and spare < 0:
            return f"the balancer lost it, and only {len(view.serving)} serve"
        case Dismiss() if member.attached:
            return "the balancer still sends it requests"
        case Dismiss(sever=False) if member.backend and member.backend.sessions:
            return f"it still holds {member.backend.sessions} sessions"
        case Dismiss(sever=True) if not may_sever(member, view):
            return "its drain deadline has not passed"
        case Destroy() if member.backend is not None:
            return "the balancer still knows it"
    return None


def _takes_capacity(action: Action, member: Member) -> bool:
    """Whether a server that serves stops doing so by this action."""
    return isinstance(action, Detach) or (isinstance(action, Destroy) and member.backend is None)


def may_sever(member: Member, view: View) -> bool:
    """Whether the sessions that a server still holds may be cut."""
    if member.stance == "dead":
        return True
    policy = view.goal.group.rollout
    since = view.memory.detached_at.get(member.name)
    return policy.long_sessions == "cut" and since is not None and view.at >= since + policy.drain
