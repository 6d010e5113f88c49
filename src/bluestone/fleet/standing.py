"""Where each server of a group stands: one word per server, from what was observed and remembered.

Pure: values in, values out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from bluestone.model.inventory import Backend, Inventory
from bluestone.model.lazy import lazy
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal
from bluestone.model.server import Server

Stance = Literal[
    "booting", "forgotten", "ready", "proving", "serving", "down", "draining", "drained", "leaving", "dead"
]
"""booting: not healthy yet. forgotten: has to go, but the balancer lost it while it served. ready: healthy, gets no
requests. serving: gets requests and is healthy. proving: the same, but for less than `rollout.min_ready`, so it does
not count yet. down: attached, but unhealthy. draining: detached, still holds sessions. drained: detached, holds none,
or its time is over. leaving: is being stopped. dead: ended, never started, or down for too long."""


class Member(Struct, frozen=True, eq=False, gc=False):
    """A server with its place in the rollout.

    `new` is whether it shall stay: it is of the goal's generation, and not tainted. `taint` says why it must be
    replaced though its generation is right (if so). `name` is the server's, `attached` whether the balancer sends it
    requests: both are asked for so often that they are kept.
    """

    server: Server
    backend: Backend | None
    stance: Stance
    new: bool
    pending: bool
    taint: str
    name: str
    attached: bool

    @property
    def foreign(self) -> bool:
        """Whether it is of another generation than the goal's."""
        return not self.new and not self.taint


class View(Struct, frozen=True, dict=True):
    """One group at one instant, ready to be planned for.

    `members` are in the order of their slots. `new` are those that shall stay, `old` those that have to go (of other
    generations, or tainted); both without those that are dead or leaving. `serving` are those that get requests and
    answer them; `unsettled` are all that do not, or that an action is under way on: most often a few of many. `dead`
    are those that ended, or were never started.

    `staying` is how many serve and will go on: a detach that is under way may take effect at any moment. `pinned` is
    whether each server belongs to its slot, as that has volumes: its successor must come there, after it. `halted` says
    why the rollout was stopped, or may not begin, as its generation failed; `paused` who wants nothing done, and why:
    both are empty if neither is so. All of these are asked for at every tick, so they are there from the beginning.
    """

    goal: Goal
    members: tuple[Member, ...]
    memory: Memory
    at: datetime
    new: tuple[Member, ...]
    old: tuple[Member, ...]
    serving: tuple[Member, ...]
    unsettled: tuple[Member, ...]
    dead: tuple[Member, ...]
    staying: int
    pinned: bool
    halted: str
    paused: str

    @property
    def living(self) -> int:
        """How many there are that count: all but the dead."""
        return len(self.members) - len(self.dead)

    @lazy
    def by_name(self) -> dict[str, Member]:
        """All members."""
        return {m.name: m for m in self.members}

    @lazy
    def taken_slots(self) -> frozenset[int]:
        """The slots in which a server is, whichever."""
        return frozenset([m.server.slot for m in self.members])


def pinned(goal: Goal) -> bool:
    """Whether the servers of the goal have volumes."""
    return bool(goal.generation.config.volumes)


def quarantine(goal: Goal, memory: Memory) -> str:
    """Why the goal's generation may not be tried again: it failed as the group is declared now. Empty if it may."""
    if not (of_group := memory.quarantined.get(goal.group.name)):
        return ""
    failed = of_group.get(goal.generation.number)
    return failed.reason if failed and failed.declared == goal.declaration() else ""


def view(goal: Goal, inventory: Inventory, memory: Memory) -> View:
    """Look at one group. `inventory.at` is the time. Who asks for the same again, to check a plan, gets the same."""
    # Whoever is in the table holds its goal and its memory, so no other ones get their numbers meanwhile.
    key = id(goal), id(memory)
    seen: View | None = inventory.derived.get(key)
    if seen is None:
        seen = inventory.derived[key] = _look(goal, inventory, memory)
    return seen


def _look(goal: Goal, inventory: Inventory, memory: Memory) -> View:
    name_of_group, image, config = goal.group.name, goal.generation.image, goal.generation.config.digest()
    backends, taints, under_way, died = inventory.by_server, memory.taints, inventory.pending, memory.died
    at_once = not goal.group.rollout.min_ready
    in_slots = pinned(goal)
    declared = goal.group.count if in_slots and goal.group.count else None
    staying = 0
    members: list[Member] = []
    new: list[Member] = []
    old: list[Member] = []
    serving: list[Member] = []
    unsettled: list[Member] = []
    for server in inventory.of_group(name_of_group):
        name = server.name
        stays, taint = server.image == image and server.config == config, ""
        if stays:
            if name in taints:
                taint = taints[name].reason
            if declared is not None and declared < server.slot:
                # The volumes of the slots that are declared are the ones to serve from, whoever else is healthy.
                taint = f"no more than {declared} servers are declared, and it is in slot {server.slot}"
            stays = not taint
        backend, pending = backends.get(name), name in under_way
        attached = backend is not None and backend.admission == "attached"
        if (
            attached
            and backend is not None
            and backend.health == "up"
            and (at_once or not stays)
            and server.phase == "running"
            and name not in died
        ):
            stance: Stance = "serving"  # so are nearly all, and `_stance` says the same of them
        else:
            stance = _stance(goal, server, backend, memory, inventory.at, new=stays, pending=pending)
        member = Member(server, backend, stance, stays, pending, taint, name, attached)
        members.append(member)
        if stance == "serving":
            serving.append(member)
            staying += not pending
        if stance != "serving" or pending:
            unsettled.append(member)
        if stance not in ("dead", "leaving"):
            (new if stays else old).append(member)
    return View(
        goal,
        tuple(members),
        memory,
        inventory.at,
        tuple(new),
        tuple(old),
        tuple(serving),
        tuple(unsettled),
        tuple([m for m in unsettled if m.stance == "dead"]),
        staying,
        in_slots,
        memory.halted.get(name_of_group, "") or quarantine(goal, memory),
        (memory.paused.get("") or memory.paused.get(name_of_group, "")) if memory.paused else "",
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
    if server.phase == "dead" or server.name in memory.died:
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
        if new:
            return "booting"
        return "forgotten" if _is_lost(goal, server, memory) else "drained"
    if backend.admission == "attached":
        if backend.health != "up":
            return "down"
        if not new:
            return "serving"
        return _answering(goal, memory.attached_at.get(server.name, server.created_at), now, new=new)
    if new:
        return "ready" if backend.health == "up" else "booting"
    if not backend.sessions and _is_lost(goal, server, memory):
        return "forgotten"
    return "drained" if drained(goal, backend, memory, now) else "draining"


def _is_lost(goal: Goal, server: Server, memory: Memory) -> bool:
    """Whether bluestone attached a server that gets no requests, has not detached it since, and could do so again."""
    if server.name not in memory.attached_at or server.name in memory.detached_at or server.endpoint is None:
        return False
    if server.generation in memory.quarantined.get(goal.group.name, {}):
        return False
    return {port.server for port in goal.group.ports} <= server.endpoint.ports.keys()


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
