"""What is really there: machines that boot, serve, fail and end, and who of them gets requests.

Provider and balancer show this to a controller as well as the weather lets them. Here it is known as it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from bluestone.model.drift import Examination, FailedUnit, FileChange, Login
from bluestone.model.inventory import Counters
from bluestone.model.server import ServerSpec
from bluestone.simulation.balancer import MemoryBalancer
from bluestone.simulation.provider import Cloud
from bluestone.simulation.timeline import Timeline
from bluestone.simulation.weather import CALM, STALEST, Weather

PROJECT = "simulated"
ZONES = 3
REQUESTS = 50.0
"""Requests a second that each server gets."""

CHECKED = 0.1, 0.6
"""Seconds from a change of a server to the verdict of the balancer's check, at least and at most."""


@dataclass
class Machine:
    """A server as it is. `answers` is whether it passes health checks, `lies` whether it then serves nobody."""

    name: str
    group: str
    slot: int
    good: bool
    alive: bool = True
    answers: bool = False
    lies: bool = False
    lies_since: float = 0.0
    stopping: bool = False


class Sample(Struct, frozen=True):
    """At `at` seconds of virtual time: how many servers of a group served, and how many existed."""

    at: float
    group: str
    serving: int
    existing: int


class Machines:
    """Every machine, behind one balancer; `boot` draws the seconds from a machine's start until it answers."""

    def __init__(
        self,
        timeline: Timeline,
        chance: random.Random,
        balancer: MemoryBalancer,
        boot: Callable[[random.Random, str], float],
    ) -> None:
        self.timeline = timeline
        self.chance = chance
        self.weather: Weather = CALM
        self.balancer = balancer
        self.cloud = Cloud()
        self.known: dict[str, Machine] = {}
        self.groups: dict[str, dict[str, Machine]] = {}
        self.sampled = True
        self.broken: set[str] = set()
        self.provider_down = False
        self.quota: int | None = None
        self.lost_zone: int | None = None
        self.zone_of: dict[str, int] = {}
        """In which zone each server is that was asked for."""
        self._zones: list[str] = []
        self.losses: list[tuple[float, str]] = []
        """When a server stopped serving though nobody told it to, and of which group."""
        self.up_since: dict[str, float] = {}
        """When each server last began to pass its checks."""
        self.balancer_began = 0.0
        """When the balancer was last started anew: it then has to check every server."""
        self.samples: list[Sample] = []
        self.hidden: frozenset[str] = frozenset()
        self.held: dict[str, float] = {}
        """Volumes that are still on a server that is gone, and until when."""
        self._boot = boot
        self._counted_at = 0.0
        self._honest = Counters(0, 0, 5.0)
        self._lists: list[tuple[float, tuple[str, ...]]] = []

    # ---- what is seen ----------------------------------------------------------------------------------------

    def able(self, group: str) -> set[str]:
        """The servers that get requests and pass their checks, as the balancer has it."""
        if self.balancer.dead:
            return set()
        seats = self.balancer.by_group[group].items()
        return {name for name, seat in seats if seat.attached and seat.health == "up"}

    def serving(self, group: str) -> int:
        """How many servers really answer requests; where the balancer offers no port of the group, how many run."""
        if group not in self.balancer.services:
            return sum(self._serves(machine.name) for machine in self.known.values() if machine.group == group)
        return sum(self._serves(name) for name in self.balancer.receivers(group))

    def counters(self, name: str) -> Counters:
        """What the balancer has counted of a server: as many requests for all, which a server that lies fails."""
        machine, now = self.known.get(name), self.timeline.seconds
        if machine and machine.lies:
            return Counters(int(now * REQUESTS), int((now - machine.lies_since) * REQUESTS), 5.0)
        if now != self._counted_at:
            self._counted_at, self._honest = now, Counters(int(now * REQUESTS), 0, 5.0)
        return self._honest

    def alive(self, group: str) -> list[Machine]:
        """The machines of a group that exist and have not ended."""
        return [machine for machine in self.groups.get(group, {}).values() if machine.alive]

    def sample(self, group: str) -> None:
        """Note how many servers of the group serve and exist, if that has changed."""
        if not self.sampled:
            return
        now = Sample(self.timeline.seconds, group, self.serving(group), len(self.alive(group)))
        last = next((sample for sample in reversed(self.samples) if sample.group == group), None)
        if last is None or (last.serving, last.existing) != (now.serving, now.existing):
            self.samples.append(now)

    def place(self, spec: ServerSpec) -> int:
        """The zone of a server: the one that it is asked for in, or where the provider puts its slot."""
        zone = spec.choice.zone if spec.choice else ""
        if zone and zone not in self._zones:
            self._zones.append(zone)
        self.zone_of[spec.name] = (self._zones.index(zone) if zone else spec.slot) % ZONES
        return self.zone_of[spec.name]

    # ---- what the controller does ----------------------------------------------------------------------------

    def look(self, name: str) -> None:
        """Bring the machine of this name in line with what the provider has just done to it."""
        server, machine = self.cloud.servers.get((PROJECT, name)), self.known.get(name)
        if server is None:
            self._remove(name)
        elif machine is None and server.phase != "creating":
            machine = self.known[name] = Machine(name, server.group, server.slot, server.image not in self.broken)
            machine.alive = server.phase == "running"
            self.groups.setdefault(server.group, {})[name] = machine
            if machine.good:
                self.timeline.after(self._boot(self.chance, server.group), self._starter(machine))
        if server is not None and server.phase == "stopping" and machine is not None:
            machine.stopping = True
            self._set(machine, answers=False)
            self.timeline.after(self.chance.uniform(1, 5), self._ender(machine))
        if server is not None:
            self.sample(server.group)

    def check(self, name: str) -> None:
        """Have the balancer find out, in a moment, how a server is."""
        self.timeline.after(self.chance.uniform(*CHECKED), lambda: self._judge(name))

    def hold_sessions(self, name: str) -> None:
        """A detached server goes on with the requests that it has: some end soon, a few only at their deadline."""
        sessions = self.chance.randint(0, 3)
        self.balancer.set_sessions(name, sessions)
        for _ in range(sessions):
            seconds = self.chance.uniform(0, 3) if self.chance.random() < 0.9 else self.chance.uniform(3, 60)
            self.timeline.after(seconds, lambda: self._end_session(name))

    # ---- what happens by itself ------------------------------------------------------------------------------

    def end(self, machine: Machine, detail: str = "killed") -> None:
        """A machine ends by itself."""
        if self.known.get(machine.name) is not machine:
            return
        key = (PROJECT, machine.name)
        self.cloud.servers[key] = replace(self.cloud.servers[key], phase="dead", detail=detail)
        self._set(machine, alive=False, answers=False)

    def flap(self, machine: Machine, seconds: float) -> None:
        """A machine stops answering for a while."""
        if machine.answers:
            self._set(machine, answers=False)
            self.timeline.after(seconds, lambda: self._set(machine, answers=machine.good and not machine.stopping))

    def lie(self, machine: Machine) -> None:
        """A machine goes on answering checks, and serves nobody."""
        if not machine.lies:
            machine.lies, machine.lies_since = True, self.timeline.seconds
        self.sample(machine.group)

    def lose(self, group: str, count: int) -> None:
        """Note that so many servers of the group stopped serving, though nobody told them to."""
        self.losses += [(self.timeline.seconds, group)] * count

    def crash_balancer(self, *, forget: bool = False) -> None:
        """The balancer ends: nobody gets anything until somebody starts it again, perhaps without knowing anybody."""
        for group in {seat.group for seat in self.balancer.seats.values()}:
            self.lose(group, len(self.able(group)))
        self.balancer.crash()
        if forget:
            self.balancer.forget()
        for group in {machine.group for machine in self.known.values()}:
            self.sample(group)

    def drift(self, machine: Machine) -> None:
        """A machine is not any more as its image says."""
        key, now = (PROJECT, machine.name), self.timeline.clock()
        if not machine.alive or key in self.cloud.found:
            return
        self.cloud.found[key] = self.chance.choice(
            (
                Examination(machine.name, now, logins=(Login(now, "a login"),)),
                Examination(machine.name, now, files=(FileChange(f"/etc/{machine.name}", "changed", now),)),
                Examination(machine.name, now, units=(FailedUnit(f"{machine.name}.service", "exit-code", now),)),
                Examination(machine.name, now, clock=3600.0),
            )
        )

    @property
    def drifted(self) -> list[str]:
        """The servers that exist and are not as their image says."""
        return sorted(name for project, name in self.cloud.found if (project, name) in self.cloud.servers)

    # ---- behind it -------------------------------------------------------------------------------------------

    def remember_list(self) -> None:
        """Note who exists now, for lists that will be stale."""
        if not self.weather.stale:
            return
        names = tuple(name for _, name in self.cloud.servers)
        self._lists = [(at, then) for at, then in self._lists if at >= self.timeline.seconds - 2 * STALEST]
        self._lists.append((self.timeline.seconds, names))

    def names_at(self, seconds: float) -> tuple[str, ...]:
        """Who existed at that time, for as long as that is remembered."""
        before = [names for at, names in self._lists if at <= seconds]
        return before[-1] if before else tuple(name for _, name in self.cloud.servers)

    def _starter(self, machine: Machine) -> Callable[[], None]:
        return lambda: self._set(machine, answers=not machine.stopping)

    def _ender(self, machine: Machine) -> Callable[[], None]:
        return lambda: self.end(machine, "stopped")

    def _serves(self, name: str) -> bool:
        machine = self.known.get(name)
        return machine is not None and machine.alive and machine.answers and not machine.lies

    def _set(self, machine: Machine, *, answers: bool, alive: bool = True) -> None:
        if self.known.get(machine.name) is not machine or not machine.alive:
            return
        machine.answers, machine.alive = answers, alive
        self.check(machine.name)
        self.sample(machine.group)

    def _remove(self, name: str) -> None:
        machine = self.known.pop(name, None)
        if machine is not None:
            del self.groups[machine.group][name]
            self.check(name)
            self.sample(machine.group)

    def _judge(self, name: str) -> None:
        seat, machine = self.balancer.seats.get(name), self.known.get(name)
        if seat is None or self.balancer.dead:
            return
        up = machine is not None and machine.alive and machine.answers
        if not up and name in self.able(seat.group):
            self.lose(seat.group, 1)
        if up and seat.health != "up":
            self.up_since[name] = self.timeline.seconds
        seat.health = "up" if up else "down"
        self.sample(seat.group)

    def _end_session(self, name: str) -> None:
        seat = self.balancer.seats.get(name)
        if seat and not seat.attached and seat.sessions:
            seat.sessions -= 1
