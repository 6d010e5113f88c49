"""The steps that every strategy is made of: create, enrol, attach, retire.

Pure: each function looks at a `View` and returns actions with their reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from bluestone.fleet.standing import Member, View, drained
from bluestone.model.action import Action, Attach, Create, Destroy, Detach, Dismiss, Enrol

FIRST_RETRY = timedelta(seconds=1)
"""Wait before a failed create is tried again; doubled after each further failure."""


def create(view: View, missing: int, numbers: Iterator[int], reason: str) -> list[Action]:
    """Create `missing` servers of the goal's generation, each in the lowest free slot."""
    if missing <= 0 or view.halted or not _may_try(view):
        return []
    free = (slot for slot in range(1, 10_000) if slot not in view.taken_slots)
    return [Create(next(free), next(numbers), view.goal.generation, reason) for _ in range(missing)]


def enrol(view: View) -> list[Action]:
    """Make the balancer check the new servers that it does not know yet."""
    if not view.goal.group.ports:
        return []
    return [
        Enrol(view.goal.group.name, m.name, "started; its health is to be checked")
        for m in view.new
        if m.stance == "booting" and m.backend is None and m.server.endpoint and not m.pending
    ]


def attach(view: View, members: Sequence[Member], reason: str) -> list[Action]:
    """Send requests to the healthy ones among `members`."""
    return [Attach(view.goal.group.name, m.name, reason) for m in members if m.stance == "ready" and not m.pending]


def retire(view: View, members: Sequence[Member], reason: str) -> list[Action]:
    """The next step of each member's way out: detach, wait for its sessions, dismiss, destroy."""
    return [action for m in members if not m.pending for action in _way_out(view, m, reason)]


def spare(view: View, floor: int, candidates: Sequence[Member]) -> list[Member]:
    """Those of `candidates` that can be let go while `floor` servers still serve.

    Whoever does not serve can go at once; of the others, the highest slots first.
    """
    idle = [m for m in candidates if m.stance != "serving"]
    busy = sorted((m for m in candidates if m.stance == "serving"), key=lambda m: -m.server.slot)
    return idle + busy[: max(0, len(view.serving) - floor)]


def rotate(view: View, numbers: Iterator[int], *, surge: int, floor: int) -> list[Action]:
    """Replace old by new within two bounds: at most count + `surge` exist, at least `floor` serve.

    New servers are created as far as the first bound allows, old ones detached as far as the second does.
    """
    group = view.goal.group
    room = group.count + surge - sum(m.stance != "dead" for m in view.members)
    missing = min(group.count - len(view.new), room)
    reason = f"generation {view.goal.generation.number} has {len(view.new)} of {group.count} servers"
    excess = surplus(view)
    actions = create(view, missing, numbers, reason)
    actions += enrol(view)
    actions += attach(view, [m for m in view.new if m not in excess], "healthy")
    actions += retire(view, spare(view, floor, view.old), f"replaced by generation {view.goal.generation.number}")
    if not view.old:
        actions += retire(view, spare(view, floor, excess), f"more than the {group.count} servers declared")
    return actions


def rotation_floor(view: View, surge: int) -> int:
    """How many servers must serve during a rotation: the count less `max_unavailable`.

    Where rounding leaves neither a surge nor an unavailable server, one may be away, or nothing could move.
    """
    group = view.goal.group
    away = group.rollout.max_unavailable.of(group.count, up=False)
    return max(0, group.count - (away if away or surge else 1))


def surplus(view: View) -> list[Member]:
    """New servers beyond the declared count: those that do not serve first, then the highest slots."""
    order = sorted(view.new, key=lambda m: (m.stance != "serving", m.server.slot))
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


def _may_try(view: View) -> bool:
    failures = view.memory.failures.get(view.goal.group.name)
    if failures is None or failures.count == 0:
        return True
    return view.at >= failures.last_at + FIRST_RETRY * int(2 ** (failures.count - 1))
