"""Plays the planner against a world of chance: one seed, one history, the same every time.

The fault model. Servers take 1 to 4 rounds to become healthy, and some never do (`broken` images). A running
server dies with `death` probability a round, or fails its health check for a while with `flap`. A create or
destroy fails with `failure` probability, taking effect or not; its answer comes up to 3 rounds later.
Sessions of a detached server linger. The list of servers cannot be had with `blind` probability. Observations are
otherwise true: stale and partial lists belong to a simulator of whole controllers.

What must hold is checked after every round; the first thing that does not raises `Violation`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from bluestone.fleet.findings import way_back
from bluestone.fleet.lint import lint
from bluestone.fleet.plan import plan
from bluestone.fleet.remember import begun, remember
from bluestone.model.action import Action, Attach, Create, Destroy, Detach, Dismiss, Enrol
from bluestone.model.inventory import Backend, Inventory
from bluestone.model.memory import Failures, Memory, Taint
from bluestone.model.plan import Goal, Plan
from bluestone.model.server import Endpoint, Server
from bluestone.simulation.limits import cap_of, surge_of

ROUND = timedelta(milliseconds=500)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Violation(AssertionError):
    """Something that must always hold did not."""


class Faults(Struct, frozen=True):
    """Probabilities, 0 to 1, of each fault in one round (see the module's text)."""

    death: float = 0.0
    flap: float = 0.0
    failure: float = 0.0
    blind: float = 0.0
    broken: frozenset[str] = frozenset()


@dataclass
class World:
    """The true state of things, and what the journal would remember."""

    chance: random.Random
    faults: Faults
    now: datetime = START
    servers: dict[str, Server] = field(default_factory=dict)
    healthy_at: dict[str, datetime] = field(default_factory=dict)
    backends: dict[str, Backend] = field(default_factory=dict)
    under_way: list[tuple[int, Action, bool]] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    names: set[str] = field(default_factory=set)
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often in a row each verb failed, by group and verb."""

    def observe(self) -> Inventory:
        """A true inventory, or one with a gap."""
        gaps = ("the provider did not answer",) if self.chance.random() < self.faults.blind else ()
        servers, backends = tuple(self.servers.values()), tuple(self.backends.values())
        if not self.under_way:
            return Inventory(self.now, servers, backends, gaps)
        pending = frozenset([action.server for _, action, _ in self.under_way])
        creates = [a for _, a, _ in self.under_way if isinstance(a, Create)]
        coming = [create.coming(self.now) for create in creates if create.server not in self.servers]
        return Inventory(self.now, (*servers, *coming), backends, gaps, pending)

    def begin(self, actions: Sequence[Action]) -> None:
        """Balancer steps take effect at once; creates and destroys after some rounds, or not at all."""
        if not actions:
            return
        number, condemned, detached = self.memory.next_incarnation, set(), {}
        for action in actions:
            match action:
                case Create():
                    if action.server in self.names:
                        raise Violation(f"the name {action.server} is used twice")
                    self.names.add(action.server)
                    number = max(number, action.incarnation + 1)
                    self._call(action)
                case Destroy():
                    condemned.add(action.server)
                    self._call(action)
                case _:
                    if isinstance(action, Detach):
                        detached[action.server] = self.now
                    self._balance(action)
        if condemned or detached or number > self.memory.next_incarnation:
            self.memory = replace(
                self.memory,
                next_incarnation=number,
                condemned=self.memory.condemned | condemned,
                detached_at=self.memory.detached_at | detached,
            )

    def _call(self, action: Create | Destroy) -> None:
        """Begin a call, which ends some rounds later."""
        works = self.chance.random() >= self.faults.failure
        self.under_way.append((self.chance.randint(0, 3), action, works))

    def pass_time(self) -> None:
        """One round: calls end, servers boot, flap and die, sessions end."""
        self.now += ROUND
        waiting = []
        for rounds, action, works in self.under_way:
            if rounds:
                waiting.append((rounds - 1, action, works))
            else:
                self._end(action, works)
        self.under_way = waiting
        for name, server in list(self.servers.items()) if self.faults.death or self.faults.flap else ():
            if server.phase == "running" and self.chance.random() < self.faults.death:
                self.servers[name] = replace(server, phase="dead", detail="killed")
            elif self.chance.random() < self.faults.flap:
                self.healthy_at[name] = self.now + ROUND * self.chance.randint(1, 6)
        for name, backend in self.backends.items():
            self.backends[name] = self._check(backend)

    def settle(self, goal: Goal) -> None:
        """Have all servers of a goal run and serve, as if it had been reached before."""
        for slot in range(1, goal.group.count + 1):
            born = Create(slot, slot, goal.generation, "").coming(self.now)
            ports = {port: port for port in goal.generation.config.ports}
            self.servers[born.name] = replace(born, phase="running", endpoint=Endpoint("sim", ports))
            self.healthy_at[born.name] = self.now
            self.backends[born.name] = Backend(born.name, born.group, "attached", "up", 0)
            self.names.add(born.name)
        self.memory = replace(self.memory, next_incarnation=goal.group.count + 1)

    def taint(self, share: float) -> None:
        """Find that each server has drifted, with this probability."""
        drifted = {name: Taint("drift", "it drifted") for name in self.servers if self.chance.random() < share}
        self.memory = replace(self.memory, taints=self.memory.taints | drifted)

    def start_rollout(self, group: str) -> None:
        """Forget what belonged to the group's last rollout."""
        self.rows = {row: count for row, count in self.rows.items() if row[0] != group}
        memory = begun(self.memory, {group})
        self.memory = replace(memory, started_at={**memory.started_at, group: self.now})

    def _end(self, action: Action, works: bool) -> None:
        took_effect = works or self.chance.random() < 0.5
        if isinstance(action, Create) and took_effect:
            ports = {port: port for port in action.generation.config.ports}
            born = replace(action.coming(self.now), phase="running", endpoint=Endpoint("sim", ports))
            for other in self.servers.values():
                if shared := set(born.volumes) & set(other.volumes):
                    raise Violation(f"{sorted(shared)} would be on {born.name} and on {other.name}")
            self.servers[action.server] = born
            self.healthy_at[action.server] = self.now + ROUND * self.chance.randint(1, 4)
        elif isinstance(action, Destroy) and took_effect:
            self.servers.pop(action.server, None)
        row = (action.group, action.verb)
        if works and not self.rows.get(row):
            return
        self.rows[row] = 0 if works else self.rows.get(row, 0) + 1
        longest = max(count for (group, _), count in self.rows.items() if group == action.group)
        failures = {name: failed for name, failed in self.memory.failures.items() if name != action.group}
        if longest:
            failures[action.group] = Failures(longest, self.now, "the call failed", action.verb)
        if failures != self.memory.failures:
            self.memory = replace(self.memory, failures=failures)

    def _balance(self, action: Action) -> None:
        name = action.server
        match action:
            case Enrol():
                self.backends[name] = self._check(Backend(name, action.group, "detached", "unknown", 0))
            case Attach():
                self.backends[name] = replace(self.backends[name], admission="attached")
            case Detach():
                sessions = self.chance.randint(0, 3)
                self.backends[name] = replace(self.backends[name], admission="detached", sessions=sessions)
            case Dismiss():
                self.backends.pop(name, None)

    def _check(self, backend: Backend) -> Backend:
        server = self.servers.get(backend.server)
        works = (
            server is not None
            and server.phase == "running"
            and server.image not in self.faults.broken
            and self.now >= self.healthy_at[backend.server]
        )
        ended = backend.admission == "detached" and self.chance.random() < 0.4
        sessions = max(0, backend.sessions - 1) if ended else backend.sessions
        if backend.sessions == sessions and backend.health == ("up" if works else "down"):
            return backend
        return replace(backend, health="up" if works else "down", sessions=sessions)


def play(world: World, goal: Goal, rounds: int) -> Plan:
    """Tick until the group is done or halted, or `rounds` have passed; check every plan on the way."""
    last = Plan()
    for _ in range(rounds):
        inventory = world.observe()
        last = plan([goal], inventory, world.memory)
        if last.facts:
            world.memory = remember(world.memory, last.facts, world.now)
        check(last, goal, inventory, world)
        world.begin(last.actions)
        if not world.under_way and all(group.state != "working" for group in last.progress):
            return last
        world.pass_time()
    return last


def check(decided: Plan, goal: Goal, inventory: Inventory, world: World) -> None:
    """Raise `Violation` unless the plan, whose facts the world remembers, keeps to what must always hold."""
    coming = [action.server for action in decided.actions if isinstance(action, Create)]
    if coming:
        coming += [action.server for _, action, _ in world.under_way if isinstance(action, Create)]
        there = [s.name for s in world.servers.values() if s.phase != "dead" and s.name not in world.memory.died]
        alive = {*there, *coming}
        aimed = way_back(goal, world.memory)
        idle = len([name for name in there if _is_idle(world.servers[name], aimed, world)])
        if len(alive) > (cap := cap_of(goal.group)) + min(idle, surge_of(goal.group)):
            raise Violation(f"{len(alive)} servers would exist, and at most {cap} may: {', '.join(sorted(alive))}")
    if wrong := lint(decided, [goal], inventory, world.memory):
        raise Violation("; ".join(wrong))


def _is_idle(server: Server, aimed: Goal, world: World) -> bool:
    """Whether a server has to go, gets no requests and holds no sessions: up to the surge, such do not count."""
    backend = world.backends.get(server.name)
    destroyed = any(isinstance(action, Destroy) and action.server == server.name for _, action, _ in world.under_way)
    goes = destroyed or server.generation != aimed.generation.number or server.name in world.memory.taints
    return goes and (backend is None or (backend.admission == "detached" and not backend.sessions))
