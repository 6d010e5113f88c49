"""Where each server of a group stands: one word per server, from what was observed and remembered.

Pure: values in, values out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from bluestone.model.inventory import Backend, Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal
from bluestone.model.server import Server

Stance = Literal["booting", "ready", "proving", "serving", "down", "draining", "drained", "leaving", "dead"]
"""booting: not healthy yet. ready: healthy, gets no requests. serving: gets requests and is healthy.
proving: the same, but for less than `rollout.min_ready`, so it does not count yet. down: attached, but unhealthy.
draining: detached, still holds sessions. drained: detached, holds none, or its time is over. leaving: is being
stopped. dead: ended, never started, or down for too long."""


class Member(NamedTuple):
    """A server with its place in the rollout.

    `new` is whether it shall stay: it is of the goal's generation, and not tainted. `taint` says why it must be
    replaced though its generation is right (if so).
    """

    server: Server
    backend: Backend | None
    stance: Stance
    new: bool
    pending: bool
    taint: str = ""

    @property
    def foreign(self) -> bool:
        """Whether it is of another generation than the goal's."""
        return not self.new and not self.taint

    @property
    def name(self) -> str:
        """The server's name."""
        return self.server.name

    @property
    def attached(self) -> bool:
        """Whether the balancer sends it requests."""
        return self.backend is not None and self.backend.admission == "attached"


class View(Struct, frozen=True):
    """One group at one instant, ready to be planned for.

    `new` are the members that shall stay, `old` those that have to go (of other generations, or tainted); both without
    those that are dead or leaving. `serving` are those that get requests and answer them.
    """

    goal: Goal
    members: tuple[Member, ...]
    memory: Memory
    at: datetime
    taken_slots: frozenset[int]
    new: tuple[Member, ...]
    old: tuple[Member, ...]
    serving: tuple[Member, ...]

    @property
    def pinned(self) -> bool:
        """Whether each server belongs to its slot, as that has volumes: its successor must come there, after it."""
        return pinned(self.goal)

    @property
    def halted(self) -> str:
        """Why the rollout was stopped, or may not begin: its generation failed. Empty if neither."""
        return self.memory.halted.get(self.goal.group.name, "") or quarantine(self.goal, self.memory)

    @property
    def paused(self) -> str:
        """Who wants nothing done, and why. Empty if nobody does."""
        return self.memory.paused.get("") or self.memory.paused.get(self.goal.group.name, "")


def pinned(goal: Goal) -> bool:
    """Whether the servers of the goal have volumes."""
    return bool(goal.generation.config.volumes)


def quarantine(goal: Goal, memory: Memory) -> str:
    """Why the goal's generation may not be tried again: it failed as the group is declared now. Empty if it may."""
    failed = memory.quarantined.get(goal.group.name, {}).get(goal.generation.number)
    return failed.reason if failed and failed.declared == goal.declaration() else ""


def view(goal: Goal, inventory: Inventory, memory: Memory) -> View:
    """Look at one group. `inventory.at` is the time."""
    servers = inventory.of_group(goal.group.name)
    config = goal.generation.config.digest()
    members = []
    bound = pinned(goal)
    for server in servers:
        backend = inventory.backend(server.name)
        right = server.image == goal.generation.image and server.config == config
        taint = memory.taints[server.name].reason if right and server.name in memory.taints else ""
        if right and bound and 0 < goal.group.count < server.slot:
            # The volumes of the slots that are declared are the ones to serve from, whoever else is healthy.
            taint = f"no more than {goal.group.count} servers are declared, and it is in slot {server.slot}"
        new = right and not taint
        pending = server.name in inventory.pending
        stance = _stance(goal, server, backend, memory, inventory.at, new=new, pending=pending)
        members.append(Member(server, backend, stance, new, pending, taint))
    here = [m for m in members if m.stance not in ("dead", "leaving")]
    return View(
        goal,
        tuple(members),
        memory,
        inventory.at,
        frozenset(server.slot for server in servers),
        new=tuple(m for m in here if m.new),
        old=tuple(m for m in here if not m.new),
        serving=tuple(m for m in here if m.stance == "serving"),
    )


def _stance(
    goal: Goal,
    server: Server,
    backend: Backend | None,
    memory: Memory,
    now: datetime,
    *,
    new: bool,
    pending: bool,
) -> Stance:
    if server.name in memory.died or server.phase == "dead":
        return "dead"
    if server.phase == "stopping":
        return "leaving"
    if server.phase == "creating":
        # A server that was never started and that nobody is starting is what a crash left behind.
        return "booting" if pending else "dead"
    if backend is None:
        if not goal.group.ports:
            return _answering(goal, server.created_at, now, new=new)
        # The balancer does not know it, so it holds no sessions; a new one still has to be enrolled.
        return "booting" if new else "drained"
    if backend.admission == "attached":
        since = memory.attached_at.get(server.name, server.created_at)
        return _answering(goal, since, now, new=new) if backend.health == "up" else "down"
    if new:
        return "ready" if backend.health == "up" else "booting"
    return "drained" if drained(goal, backend, memory, now) else "draining"


def _answering(goal: Goal, since: datetime, now: datetime, *, new: bool) -> Stance:
    return "proving" if new and now < since + goal.group.rollout.min_ready else "serving"


def drained(goal: Goal, backend: Backend, memory: Memory, now: datetime) -> bool:
    """Whether a detached server holds no sessions any more, or has had its time (`rollout.drain`)."""
    if backend.sessions == 0:
        return True
    if goal.group.rollout.long_sessions == "wait":
        return False
    since = memory.detached_at.get(backend.server)
    return since is not None and now >= since + goal.group.rollout.drain
