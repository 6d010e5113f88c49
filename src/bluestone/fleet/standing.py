"""Where each server of a group stands: one word per server, from what was observed and remembered.

Pure: values in, values out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bluestone.model.inventory import Backend, Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal
from bluestone.model.server import Server

Stance = Literal["booting", "ready", "serving", "down", "draining", "drained", "leaving", "dead"]
"""booting: not healthy yet. ready: healthy, gets no requests. serving: gets requests and is healthy.
down: attached, but unhealthy. draining: detached, still holds sessions. drained: detached, holds none, or its
time is over. leaving: is being stopped. dead: ended, never started, or down for too long."""


@dataclass(frozen=True)
class Member:
    """A server with its place in the rollout. `new` is whether it is of the goal's generation."""

    server: Server
    backend: Backend | None
    stance: Stance
    new: bool
    pending: bool

    @property
    def name(self) -> str:
        """The server's name."""
        return self.server.name

    @property
    def attached(self) -> bool:
        """Whether the balancer sends it requests."""
        return self.backend is not None and self.backend.admission == "attached"


@dataclass(frozen=True)
class View:
    """One group at one instant, ready to be planned for."""

    goal: Goal
    members: tuple[Member, ...]
    memory: Memory
    at: datetime
    taken_slots: frozenset[int]

    @property
    def new(self) -> tuple[Member, ...]:
        """Members of the goal's generation that live."""
        return tuple(m for m in self.members if m.new and m.stance not in ("dead", "leaving"))

    @property
    def old(self) -> tuple[Member, ...]:
        """Members of other generations that live."""
        return tuple(m for m in self.members if not m.new and m.stance not in ("dead", "leaving"))

    @property
    def serving(self) -> tuple[Member, ...]:
        """Members that get requests and answer them."""
        return tuple(m for m in self.members if m.stance == "serving")

    @property
    def halted(self) -> bool:
        """Whether the rollout was stopped."""
        return self.goal.group.name in self.memory.halted


def view(goal: Goal, inventory: Inventory, memory: Memory) -> View:
    """Look at one group. `inventory.at` is the time."""
    servers = inventory.of_group(goal.group.name)
    config = goal.generation.config.digest()
    members = []
    for server in servers:
        backend = inventory.backend(server.name)
        new = server.image == goal.generation.image and server.config == config
        pending = server.name in inventory.pending
        stance = _stance(goal, server, backend, memory, inventory.at, new=new, pending=pending)
        members.append(Member(server, backend, stance, new, pending))
    return View(goal, tuple(members), memory, inventory.at, frozenset(server.slot for server in servers))


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
            return "serving"
        # The balancer does not know it, so it holds no sessions; a new one still has to be enrolled.
        return "booting" if new else "drained"
    if backend.admission == "attached":
        return "serving" if backend.health == "up" else "down"
    if new:
        return "ready" if backend.health == "up" else "booting"
    return "drained" if drained(goal, backend, memory, now) else "draining"


def drained(goal: Goal, backend: Backend, memory: Memory, now: datetime) -> bool:
    """Whether a detached server holds no sessions any more, or has had its time (`rollout.drain`)."""
    if backend.sessions == 0:
        return True
    since = memory.detached_at.get(backend.server)
    return since is not None and now >= since + goal.group.rollout.drain
