"""One history of whole controllers: the real loop, its journal and its memory, in a simulated world; one seed each.

A group is started in calm, then led to a new generation while the weather is bad; then the faults cease, and it has
to arrive. `Checks` looks at every effect on the way.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from bluestone.fleet.controller.act import WORKERS, Tools
from bluestone.fleet.controller.begin import beginning, started
from bluestone.fleet.controller.controller import Controller
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.resolve import resolve, unanswered
from bluestone.fleet.controller.watcher import Watcher
from bluestone.fleet.findings import way_back
from bluestone.fleet.provider import Provider
from bluestone.model.action import Create
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Group
from bluestone.model.plan import Goal, Plan
from bluestone.model.problem import Problem
from bluestone.model.server import ServerSpec
from bluestone.simulation.checks import Checks
from bluestone.simulation.faulty import FaultyBalancer, FaultyProvider
from bluestone.simulation.history import Violation
from bluestone.simulation.life import Killed, Life, watched
from bluestone.simulation.machines import PROJECT, ZONES, Machines, Sample
from bluestone.simulation.timeline import Timeline
from bluestone.simulation.weather import CALM, LEASE, SLOWEST, Weather
from bluestone.simulation.workers import VirtualWorkers

STORM_LASTS = 60.0
"""Seconds of bad weather, unless the group arrives before."""

ARRIVES_WITHIN = 3600.0
"""Seconds of virtual time after the faults have ceased, besides those that a group is declared to wait for: deaths
count for 10 minutes, and waits double up to 10."""

PACE = 0.05, 0.4
IDLE = 5.0
"""Seconds between two ticks: while there is work, and while there is none. Who only waits looks less and less often."""


class Report(Struct, frozen=True):
    """How a trial went. Times in seconds of virtual time; `began` and `arrived` are those of the watched rollout."""

    seed: int
    began: float
    arrived: float
    state: str
    points: int
    kills: int
    ticks: int
    samples: tuple[Sample, ...]

    @property
    def took(self) -> float:
        """Seconds from the beginning of the rollout to its end."""
        return self.arrived - self.began


class Kill(Struct, frozen=True):
    """Where to kill the first controller of the watched rollout, and whether what it had begun takes effect."""

    point: int
    orphans: bool = True


@dataclass
class Leader:
    """A controller process."""

    life: Life
    controller: Controller
    begun: bool = False
    watcher: Watcher | None = None
    quiet: int = 0


def quick_boot(chance: random.Random, group: str) -> float:  # noqa: ARG001 - one of several ways to boot
    """A machine that answers within two seconds."""
    return chance.uniform(0.3, 2.0)


class Trial:
    """One seed, one history. `journal` is an empty one; it is left to the caller to look at, and to close.

    `boot` draws the seconds from a machine's start until it answers; `workers` is how many calls are made at once,
    `pace` the seconds between two ticks, at least and at most.
    """

    def __init__(
        self,
        seed: int,
        groups: Sequence[Group],
        weather: Weather,
        journal: Journal,
        *,
        kill: Kill | None = None,
        boot: Callable[[random.Random, str], float] = quick_boot,
        workers: int = WORKERS,
        pace: tuple[float, float] = PACE,
    ) -> None:
        self.seed = seed
        self.timeline = Timeline()
        self.chance = random.Random(seed)  # noqa: S311 - it has to come out the same again
        self.journal = journal
        balancer = FaultyBalancer()
        self.machines = Machines(self.timeline, self.chance, balancer, boot)
        self.checks = Checks(self.machines, self.journal, {group.name: group for group in groups})
        self.checks.blur = SLOWEST if weather.slow else 0.0
        balancer.machines, balancer.checks = self.machines, self.checks
        self.balancer = balancer
        self.provider = FaultyProvider(self.machines, self.checks)
        self.kills = 0
        self._groups = tuple(groups)
        self._weather = weather
        self._kill = kill
        self._workers = workers
        self._pace = pace
        self._patience = ARRIVES_WITHIN + 3 * sum(_waits(group) for group in groups)
        self._goals: tuple[Goal, ...] = ()
        self._leader: Leader | None = None
        self._last: Plan | None = None
        self._ticks = 0
        self._lives: list[Life] = []

    def run(self) -> Report:
        """Play it. Raises `Violation`."""
        try:
            return self._play()
        except Violation as violation:
            raise Violation(f"seed {self.seed}: {violation}") from None

    def _play(self) -> Report:
        self._lead(1)
        if self._until_arrived(self._patience) != "done":
            raise Violation(f"the first generation did not arrive: {self._waiting()}")
        self.machines.samples.clear()
        for group in self._groups:
            self.machines.sample(group.name)
        began = self.timeline.seconds
        self.machines.weather = self._weather
        self._lead(2)
        first = self._leader
        self._arrange_weather()
        self._until_arrived(STORM_LASTS)
        self._calm_down()
        if self._weather.kinds:
            self._renew()
        state = self._until_arrived(self._patience)
        arrived = self.timeline.seconds
        self._check_end(state)
        points = first.life.points if first else 0
        samples = tuple(self.machines.samples)
        return Report(self.seed, began, arrived, state, points, self.kills, self._ticks, samples)

    # ---- controllers -----------------------------------------------------------------------------------------

    def _lead(self, number: int) -> None:
        """Have a new generation made, and a controller lead every group to it."""
        goals = []
        for group in self._groups:
            config = ServerConfig.of(group, "")
            image = f"sha256:{number:08x}" + "0" * 56
            if number > 1 and self._weather.broken:
                self.machines.broken.add(image)
            generation = self.journal.generation(group.name, image, config, keep=True)
            fallback = self.journal.generation_number(group.name, number - 1) if number > 1 else None
            goals.append(Goal(group, generation, fallback))
            self.checks.led_to[group.name] = generation.number
        self._goals = tuple(goals)
        kill_at = self._kill.point if self._kill and number > 1 else 0
        self._renew(kill_at)

    def _renew(self, kill_at: int = 0) -> None:
        """Another controller takes over from the one there is, if there is one."""
        if self._leader is not None:
            self._leader.life.superseded = True
        rate = self.machines.weather.kill
        if rate and not kill_at:
            kill_at = 1 + int(self.chance.expovariate(rate))
        stop_at = 1 + int(self.chance.expovariate(self.machines.weather.two)) if self.machines.weather.two else 0
        life = Life(kill_at, stop_at, died=self._killed, stop=self._stand_still)
        workers = VirtualWorkers(
            self.timeline,
            self.chance,
            life,
            lambda: self.machines.weather,
            size=self._workers,
            orphans=self._kill.orphans if self._kill else None,
        )
        providers = {goal.group.provider: watched(self.provider, life) for goal in self._goals}
        tools = Tools(providers, watched(self.balancer, life), _outfit, lambda _: None)
        journal = watched(self.journal, life)
        controller = Controller(self._goals, tools, journal, self.timeline.clock, workers=workers)
        leader = self._leader = Leader(life, controller, watcher=self._watcher(providers, journal))
        self._lives.append(life)
        self._last = None
        self.timeline.after(0.0, lambda: self._turn(leader))

    def _watcher(self, providers: Mapping[str, Provider], journal: Journal) -> Watcher | None:
        """Who looks for drift, where there is any."""
        if not self._weather.drift:
            return None
        return Watcher(providers, journal, self.timeline.clock, lambda *_: None)

    def _turn(self, leader: Leader) -> None:
        """One tick of a controller, and arrange the next."""
        if leader.life.superseded or leader.life.dead:
            return
        try:
            if not leader.begun:
                self._begin(leader)
            plan = leader.controller.tick()
            if leader.watcher is not None:
                leader.watcher.look_if_due(self._groups)
        except Killed:
            return
        except Problem as problem:
            if leader.life.superseded:
                return
            raise Violation(f"the controller gave up: {problem}") from problem
        self._ticks += 1
        if leader is self._leader:
            self._last = plan
        leader.quiet = 0 if plan.actions or plan.facts else leader.quiet + 1
        working = any(group.state == "working" for group in plan.progress)
        pause = self.chance.uniform(*self._pace) * max(1, leader.quiet - 10) if working else IDLE
        self.timeline.after(min(pause, IDLE), lambda: self._turn(leader))

    def _begin(self, leader: Leader) -> None:
        """As `bluestone up` begins: find out what became of what others began, then begin rollouts."""
        controller, journal = leader.controller, watched(self.journal, leader.life)
        if unanswered(journal):
            journal.record(self.timeline.clock(), resolve(journal, controller.look()))
        memory = controller.recall(controller.look())
        begins = beginning(journal, self._goals, memory)
        entries: list[Entry] = []
        for goal in self._goals:
            if goal.group.name in begins:
                back = way_back(goal, memory)
                self.checks.led_to[goal.group.name] = back.generation.number
                entries.append(started(back, "simulated"))
        journal.record(self.timeline.clock(), entries)
        leader.begun = True

    def _killed(self) -> None:
        self.kills += 1
        dead, self._last = self._leader, None
        pause = self.chance.choice([0.05, 1.0, 5.0, 12.0])
        self.timeline.after(pause, lambda: self._renew() if self._leader is dead else None)

    def _stand_still(self) -> None:
        """The leader stops where it is; another takes over once its lease has ended; then it goes on."""
        stopped = self._leader
        self.timeline.after(LEASE, lambda: self._renew() if self._leader is stopped else None)
        self.timeline.advance(self.chance.uniform(0.5, 15.0))

    # ---- the weather -----------------------------------------------------------------------------------------

    def _arrange_weather(self) -> None:
        weather, timeline, chance = self.machines.weather, self.timeline, self.chance
        for rate, event in (
            (weather.quota, self._quota),
            (weather.zone, self._zone),
            (weather.down, self._outage),
            (weather.crash, self.machines.crash_balancer),
            (weather.forget, self._wipe),
        ):
            at = chance.expovariate(rate) if rate else STORM_LASTS
            while at < STORM_LASTS:
                timeline.after(at, self._in_bad_weather(event))
                at += chance.expovariate(rate)
        if weather.die or weather.flap or weather.lie or weather.drift:
            for second in range(int(STORM_LASTS)):
                timeline.after(second, self._in_bad_weather(self._befall))

    def _in_bad_weather(self, event: Callable[[], None]) -> Callable[[], None]:
        return lambda: event() if self.machines.weather is not CALM else None

    def _befall(self) -> None:
        """What happens to single machines in a second."""
        weather, chance = self.machines.weather, self.chance
        for machine in list(self.machines.known.values()):
            if chance.random() < weather.die:
                self.machines.end(machine)
            elif chance.random() < weather.flap:
                self.machines.flap(machine, chance.uniform(0.5, 5))
            elif chance.random() < weather.lie:
                self.machines.lie(machine)
            if weather.drift and chance.random() < weather.drift:
                self.machines.drift(machine)

    def _wipe(self) -> None:
        self.machines.crash_balancer(forget=True)

    def _quota(self) -> None:
        self.machines.quota = len(self.machines.cloud.servers)
        self.timeline.after(self.chance.uniform(1, 20), self._lift_quota)

    def _lift_quota(self) -> None:
        self.machines.quota = None

    def _zone(self) -> None:
        zone = self.machines.lost_zone = self.chance.randrange(ZONES)
        for machine in list(self.machines.known.values()):
            if self.machines.zone_of[machine.name] == zone:
                self.machines.end(machine, "its zone is lost")
        self.timeline.after(self.chance.uniform(1, 20), self._restore_zone)

    def _restore_zone(self) -> None:
        self.machines.lost_zone = None

    def _outage(self) -> None:
        if self.chance.random() < 0.5:
            self.machines.provider_down = True
        else:
            self.balancer.answers = False
        self.timeline.after(self.chance.uniform(1, 20), self._end_outage)

    def _end_outage(self) -> None:
        self.machines.provider_down, self.balancer.answers = False, True

    def _calm_down(self) -> None:
        self.machines.weather = CALM
        self.machines.hidden = frozenset()
        self._lift_quota()
        self._restore_zone()
        self._end_outage()

    # ---- the end ---------------------------------------------------------------------------------------------

    def _until_arrived(self, seconds: float) -> str:
        """Let time pass until every group is where it stays, at most so long; how the first that is not done stands."""
        self.timeline.advance(seconds, until=self._arrived)
        states = [group.state for group in self._last.progress] if self._last else ["working"]
        return next((state for state in states if state != "done"), "done")

    def _arrived(self) -> bool:
        if self._last is None or self.machines.drifted:
            return False
        return all(group.state in ("done", "returned") for group in self._last.progress)

    def _check_end(self, state: str) -> None:
        """It has arrived, all servers serve, nothing is left to do, and the journal is whole."""
        if not self._arrived():
            raise Violation(f"it did not arrive within {self._patience:g} s of calm: {self._waiting()}")
        for goal in self._goals:
            group, able = goal.group, self.machines.able(goal.group.name)
            wanted = goal.generation.number if state == "done" else goal.generation.number - 1
            servers = [s for s in self.machines.cloud.servers.values() if s.group == group.name]
            if group.ports and len(able) != group.count:
                raise Violation(f"it says that it arrived, and {len(able)} of {group.count} servers serve")
            if len(servers) != group.count or {s.generation for s in servers} - {wanted}:
                raise Violation(f"it says that it arrived, and there are {[s.name for s in servers]}")
        if stale := next((life.stale for life in self._lives if life.stale), ""):
            raise Violation(f"a controller that another had superseded did something all the same: {stale}")
        returns = [e for e in self.journal.select(("rollout.started",)) if "failed" in e.data]
        if len(returns) > len(self._goals):
            raise Violation(f"a rollback was rolled back: {[e.message for e in returns]}")
        if broken := self.journal.verify():
            raise Violation(f"the journal is broken at {broken.sequence}: {broken.why}")
        if self._leader is not None:
            self._leader.life.spared = True
            if actions := self._leader.controller.tick().actions:
                raise Violation(f"where it had arrived it does more: {actions}")

    def _waiting(self) -> str:
        if self._last is None:
            return "no tick"
        drifted = [f"{name} drifted, and is there" for name in self.machines.drifted]
        return "; ".join([*drifted, *(w for group in self._last.progress for w in group.waiting)])


def _waits(group: Group) -> float:
    """Seconds that a group is declared to wait for, on its way."""
    policy = group.rollout
    return (policy.keep + policy.bake + policy.min_ready + policy.drain + policy.progress).total_seconds()


def _outfit(create: Create) -> ServerSpec:
    return ServerSpec(PROJECT, create.slot, create.incarnation, create.generation, choice=create.choice)
