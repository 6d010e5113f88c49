"""The steps that every strategy is made of: create, enrol, attach, retire.

Pure: each function looks at a `View` and returns actions with their reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice

from bluestone.fleet.room import choose
from bluestone.fleet.standing import Member, View, drained
from bluestone.model.action import Action, Attach, Create, Destroy, Detach, Dismiss, Enrol

_RANK = {"serving": 0, "proving": 1}
"""Who stays when there are too many: first those that serve, then those that have begun to."""


def create(view: View, missing: int, numbers: Iterator[int]) -> list[Action]:
    """Create `missing` servers of the goal's generation, each in the lowest free slot.

    Servers with volumes belong to the declared slots: while a server that is on its way out is in one, or a dead one,
    none is created elsewhere in its stead.
    """
    if missing <= 0 or view.halted:
        return []
    slots = range(1, view.goal.group.count + 1) if view.pinned else count(1)
    reason = _why_create(view)
    free = islice((slot for slot in slots if slot not in view.taken_slots), missing)
    return [_create(view, slot, next(numbers), reason) for slot in free]


def _create(view: View, slot: int, number: int, reason: str) -> Create:
    choice, why = choose(view, slot)
    return Create(slot, number, view.goal.generation, reason + why, choice)


def enrol(view: View) -> list[Action]:
    """Make the balancer check the new servers that it does not know yet, but none that is too many: it is to go."""
    if not view.goal.group.ports or not view.unsettled:
        return []
    unknown = [
        m
        for m in view.unsettled
        if m.stance == "booting" and m.backend is None and m.new and m.server.endpoint and not m.pending
    ]
    if not unknown:
        return []
    excess, group = surplus(view), view.goal.group.name
    return [Enrol(group, m.name, "started; its health is to be checked") for m in unknown if m not in excess]


def readmit(view: View, floor: int) -> list[Action]:
    """Bring back servers that have to go, but that the balancer lost while they served, as long as fewer than `floor`
    serve: they are replaced like the others, in their turn."""
    if len(view.serving) >= floor:
        return []
    group, lost = view.goal.group, [m for m in view.old if m.stance == "forgotten" and not m.pending]
    unknown = [m for m in lost if m.backend is None]
    healthy = [m for m in lost if m.backend is not None and m.backend.health == "up"]
    return [
        *(Enrol(group.name, m.name, "the balancer lost it while it served") for m in unknown),
        *(Attach(group.name, m.name, "healthy; the balancer had lost it") for m in healthy),
    ]


def attach(view: View, members: Sequence[Member], reason: str) -> list[Action]:
    """Send requests to the healthy ones among `members`."""
    return [Attach(view.goal.group.name, m.name, reason) for m in members if m.stance == "ready" and not m.pending]


def retire(view: View, members: Sequence[Member], reason: str) -> list[Action]:
    """The next step of each member's way out: detach, wait for its sessions, dismiss, destroy."""
    return (
        [action for m in members if not m.pending for action in _way_out(view, m, m.taint or reason)] if members else []
    )


def spare(view: View, floor: int, candidates: Sequence[Member]) -> list[Member]:
    """Those of `candidates` that can be let go while `floor` servers still serve.

    Whoever does not serve can go at once, but for those that the balancer lost, or has not checked yet since it was
    started anew, while too few serve; of the others, the highest slots first (those that serve come in the order of
    their slots).
    """
    idle = [m for m in candidates if m.stance != "serving"] if view.unsettled else []
    if (spared := view.staying - floor) < 0:
        return [m for m in idle if not _may_yet_serve(m)]
    if spared == 0:
        return idle
    busy = (m for m in reversed(candidates) if m.stance == "serving" and not m.pending)
    return [*idle, *islice(busy, spared)]


def _may_yet_serve(member: Member) -> bool:
    unchecked = member.attached and member.backend is not None and member.backend.health == "unknown"
    return unchecked or member.stance == "forgotten"


def _why_create(view: View) -> str:
    """Why servers are created: how many there are, or what one of the others is replaced for."""
    generation, count = view.goal.generation.number, view.goal.group.count
    tainted = next((f"; {m.name} is replaced: {m.taint}" for m in view.old if m.taint), "")
    hours = f"; {view.goal.because}" if view.goal.because else ""
    return f"generation {generation} has {len(view.new)} of {count} servers{tainted}{hours}"


def why_surplus(view: View) -> str:
    """Why servers that are too many go."""
    return view.goal.because or f"more than the {view.goal.group.count} servers declared"


def surplus(view: View) -> list[Member]:
    """New servers beyond the declared count: those that do not serve first, then the highest slots."""
    if len(view.new) <= view.goal.group.count:
        return []
    order = sorted(view.new, key=lambda m: (_RANK.get(m.stance, 2), m.server.slot))
    return order[view.goal.group.count :]


def _way_out(view: View, member: Member, reason: str) -> list[Action]:
    group, name, backend = view.goal.group.name, member.name, member.backend
    if member.attached:
        return [Detach(group, name, reason)]
    if backend is None:
        return [Destroy(group, name, reason)]
    if backend.sessions == 0:
        return [Dismiss(group, name, reason)]
    if member.stance == "dead" or drained(view.goal, backend, view.memory, view.at):
        limit = f"{backend.sessions} sessions left at the drain deadline"
        return [Dismiss(group, name, reason if member.stance == "dead" else limit, sever=True)]
    if name not in view.memory.detached_at:
        # Nobody remembers when it was detached: detach it again, so that its deadline has a beginning.
        return [Detach(group, name, reason)]
    return []
