"""A year of office hours: the real controller, its journal and its timekeeper, on virtual time; and another's bill.

Ten servers boot in a lognormal time with a median of 45 s (1 in 100 takes twice as long); 1 boot in 50 fails, half of
them at once and half by never becoming healthy. Four times a year the provider answers nobody for some minutes, four
times a quota keeps servers from being created, and a server ends by itself about once a quarter. One call in 200 is
lost, one in 50 is slow. The daemon looks every ten seconds, somewhere within them.

The image has served before the year begins. Each server has a volume of 40 GiB, which is a snapshot while it sleeps.
The simulator's bill is kept where servers, volumes and snapshots come into being and cease to, by somebody who knows
nothing of the journal.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from bluestone.app import wiring
from bluestone.app.hours.cost import stays
from bluestone.app.hours.hours import MISSED, Timekeeper, table_of
from bluestone.app.hours.snapshots import SnapshotKeeper
from bluestone.app.hours.storage import storage
from bluestone.fleet.controller.act import Tools
from bluestone.fleet.controller.begin import started
from bluestone.fleet.controller.controller import Controller
from bluestone.fleet.controller.journal import Entry
from bluestone.hours.ledger import Ledger, ledger
from bluestone.model.action import Create
from bluestone.model.cost import Price, PriceList, StorageKind, StoragePrice
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Group, Port, RolloutPolicy
from bluestone.model.hours import Hours, Period
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem
from bluestone.model.server import Server, ServerSpec
from bluestone.model.volume import VolumeSpec
from bluestone.simulation.faulty import FaultyBalancer, FaultyProvider
from bluestone.simulation.life import Life
from bluestone.simulation.machines import PROJECT, Machine, Machines
from bluestone.simulation.timeline import START, Timeline
from bluestone.simulation.weather import Weather
from bluestone.simulation.workers import VirtualWorkers

SERVERS = 10
HOURS = Hours((Period("Mo-Fr 08:00-18:00; PH off", SERVERS),), zone="Europe/Berlin", country="DE", region="BW")
GROUP = Group(
    "office",
    provider="simulated",
    count=SERVERS,
    ports=(Port(8080, 80),),
    rollout=RolloutPolicy(progress=timedelta(minutes=3)),
    volumes=(VolumeSpec("data", "/data", 40 << 30),),
    snapshots=("data",),
    hours=HOURS,
)
MONTHLY: dict[StorageKind, Decimal] = {"volume": Decimal("0.0952"), "snapshot": Decimal("0.05")}
PRICES = PriceList(
    "EUR",
    date(2026, 1, 1),
    (Price(date(2020, 1, 1), "simulated", Decimal("0.0373")),),
    storage=tuple(StoragePrice(date(2020, 1, 1), "simulated", kind, price) for kind, price in MONTHLY.items()),
)
MEDIAN, SIGMA, FAILING = 45.0, 0.3, 0.02
WEATHER = Weather(slow=0.02, lost=0.005)
MINUTE, DAY = 60.0, 86400.0
EVERY = 10.0


@dataclass
class Outcome:
    """What came of a year. `misses` are openings at which not all served, with the journal's explanation; `stored` is
    the part of what was spent that was for volumes and snapshots, and `always` is for servers alone."""

    openings: int = 0
    misses: list[tuple[datetime, str]] = field(default_factory=list)
    spent: Fraction = Fraction(0)
    billed: Fraction = Fraction(0)
    stored: Fraction = Fraction(0)
    always: Fraction = Fraction(0)
    lead: Fraction = Fraction(0)
    leads: list[float] = field(default_factory=list)
    ticks: int = 0


class Biller:
    """The provider's own books: every server from when it came to be until it was gone, by the begun second; and what
    was stored from when to when, by bytes."""

    def __init__(self) -> None:
        self.machines: Machines | None = None
        self._stored: dict[str, tuple[StorageKind, int, datetime]] = {}
        self.storage = Fraction(0)
        self.gone: dict[str, Server] = {}
        self._since: dict[str, datetime] = {}
        self.periods: list[tuple[datetime, datetime]] = []

    def created(self, server: Server) -> None:
        """Its first moment."""
        assert self.machines is not None
        self._since[server.name] = self.machines.timeline.clock()
        for volume in server.volumes:
            if self._stored.get(volume, ("snapshot",))[0] == "snapshot":
                self.store(volume, "volume", 40 << 30)

    def store(self, volume: str, kind: StorageKind | None, size: int = 0) -> None:
        """Something else is stored from now on; None for nothing."""
        assert self.machines is not None
        now = self.machines.timeline.clock()
        if before := self._stored.pop(volume, None):
            was, held, since = before
            gib_hours = Fraction(held, 1 << 30) * Fraction((now - since) // timedelta(microseconds=1), 3_600_000_000)
            self.storage += Fraction(MONTHLY[was]) / 730 * gib_hours
        if kind is not None:
            self._stored[volume] = (kind, size, now)

    def destroyed(self, server: Server) -> None:
        """Its last, if it is really gone."""
        assert self.machines is not None
        if (PROJECT, server.name) not in self.machines.cloud.servers:
            self.periods.append((self._since.pop(server.name), self.machines.timeline.clock()))

    def detached(self, *_: object, **__: object) -> None:
        """Nothing that costs."""

    def dismissed(self, *_: object, **__: object) -> None:
        """Nothing that costs."""

    def total(self, price: Decimal, end: datetime) -> Fraction:
        """Everything so far, at the end of the year."""
        for volume in list(self._stored):
            self.store(volume, None)
        periods = [*self.periods, *((since, end) for since in self._since.values())]
        seconds = sum(math.ceil((until - since).total_seconds()) for since, until in periods)
        return self.storage + Fraction(price) * seconds / 3600


class Boots(Machines):
    """Machines some of which end while they boot."""

    ended: Any = None

    def look(self, name: str) -> None:
        """Some boots fail."""
        known = name in self.known
        super().look(name)
        machine = self.known.get(name)
        if machine is not None and not known and self.chance.random() < FAILING / 2:
            self.timeline.after(self.chance.uniform(5, 60), lambda: self.end(machine, "its boot failed"))

    def end(self, machine: Machine, detail: str = "killed") -> None:
        """The daemon hears of it."""
        super().end(machine, detail)
        if self.ended:
            self.ended()


class Telling(FaultyProvider):
    """A provider that describes what it has created, and has its bill kept."""

    def create(self, spec: ServerSpec) -> Server | None:  # type: ignore[override]
        """As the port has it."""
        super().create(spec)
        return self._machines.cloud.servers.get((PROJECT, spec.name))

    def put_away(self, name: str) -> int | None:
        """As the port has it."""
        taken = super().put_away(name)
        if taken is not None:
            self._checks.store(name, "snapshot", taken)  # type: ignore[attr-defined]
        return taken


class Year:
    """One year, from one seed: the year is `START`'s and as many after it as the seed says."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.begin = datetime(START.year + seed, 1, 1, tzinfo=UTC)
        self.end = datetime(START.year + seed + 1, 1, 1, tzinfo=UTC)
        self.timeline = Timeline()
        self.timeline.seconds = (self.begin - START).total_seconds()
        self.biller: Any = Biller()
        balancer: Any = FaultyBalancer()
        self.machines = Boots(self.timeline, self.chance, balancer, self._boot)
        self.machines.sampled, self.machines.weather = False, WEATHER
        self.machines.ended = lambda: self._turn_in(1.0)
        self.biller.machines = balancer.machines = self.machines
        balancer.checks = self.biller
        self.balancer = balancer
        self.found = Outcome()
        self._turns = 0

    def play(self) -> Outcome:
        """Play it."""
        with closing(wiring.memory_journal()) as journal:
            self.journal = journal
            config = ServerConfig.of(GROUP, "")
            generation = journal.generation(GROUP.name, "sha256:" + "1" * 64, config, keep=True)
            self.goals = [Goal(GROUP, generation)]
            life = Life()
            workers = VirtualWorkers(self.timeline, self.chance, life, lambda: self.machines.weather)
            provider = Telling(self.machines, self.biller)
            tools = Tools({"simulated": provider}, self.balancer, _outfit, lambda _: None)
            self.controller = Controller(self.goals, tools, journal, self.timeline.clock, workers=workers)
            self.snapshots = SnapshotKeeper({"simulated": provider}, self._record, lambda: None, self.timeline.clock)
            self.timekeeper = Timekeeper(journal, self._record, lambda _: {})
            data = {"generation": generation.number}
            served = Entry("rollout.settled", GROUP.name, message="it served before the year began", data=data)
            self._record([started(self.goals[0], "simulated"), served])
            self._arrange()
            self._turn_in(0.0)
            self.timeline.advance((self.end - self.begin).total_seconds())
            return self._reckon()

    def _record(self, entries: Any) -> None:
        self.journal.record(self.timeline.clock(), tuple(entries))

    def _boot(self, chance: random.Random, group: str) -> float:  # noqa: ARG002 - one way to boot of several
        return 1e12 if chance.random() < FAILING / 2 else MEDIAN * math.exp(chance.gauss(0, SIGMA))

    # ---- the daemon ----------------------------------------------------------------------------------------------

    def _turn_in(self, seconds: float) -> None:
        self._turns += 1
        number = self._turns
        self.timeline.after(seconds, lambda: self._turn() if number == self._turns else None)

    def _turn(self) -> None:
        """As the daemon's line of work: see daemon.leader and app.rollout.Site.keep_hours."""
        latest = self.controller.latest
        if latest is not None:
            self.timekeeper.note(latest)
        inventory = latest.inventory if latest else self.controller.look()
        self.controller.goals = tuple(self.timekeeper.keep(self.goals, inventory, self.timeline.clock()))
        try:
            plan = self.controller.tick()
        except Problem as problem:
            raise SystemExit(f"the controller gave up: {problem}") from problem
        if self.controller.latest is not None:
            for _ in range(2):  # what the first has begun is recorded by the next, which is soon where time goes on
                self.snapshots.look(self.controller.latest)
                self.snapshots.wait(10)
        self.found.ticks += 1
        fresh = latest is None or self.timeline.clock() - latest.inventory.at < timedelta(minutes=2)
        if any(group.state == "working" for group in plan.progress):
            self._turn_in(self.chance.uniform(5, 15))
        elif not fresh or plan.actions or self.controller.under_way:
            self._turn_in(1.0)
        else:
            self._turn_in(self._until_next() + self.chance.uniform(0, EVERY))

    def _until_next(self) -> float:
        """Seconds until something may be wanted: what a daemon that looks all the time would see then."""
        now = self.timeline.clock()
        table, _ = table_of(HOURS, now)
        change = table.next_change(now.timestamp())
        assert change is not None
        lead = self.timekeeper.leads(self.goals, now)[GROUP.name].seconds
        opens = table.count_at(change) > table.count_at(now.timestamp())
        left = change - now.timestamp() - (lead if opens and now.timestamp() < change - lead else 0.0)
        return max(1.0, left)

    # ---- the world -----------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        table, _ = table_of(HOURS, self.begin)
        for opening, count in table.openings(self.begin.timestamp(), self.end.timestamp() - DAY):
            self.timeline.after(opening - self.begin.timestamp(), lambda o=opening, c=count: self._look(o, c))  # type: ignore[misc]
        for event in (self._outage, self._quota):
            for at in _chances(self.chance, 4 / 365):
                self.timeline.after(at, event)
        for at in _chances(self.chance, SERVERS * 4 / 365):
            self.timeline.after(at, self._death)

    def _look(self, opening: float, count: int) -> None:
        """Whether all serve at the very moment."""
        self.found.openings += 1
        self.found.leads.append(self.timekeeper.leads(self.goals, self.timeline.clock())[GROUP.name].seconds)
        if self.machines.serving(GROUP.name) < count:
            self.found.misses.append((datetime.fromtimestamp(opening, UTC), ""))

    def _outage(self) -> None:
        self.machines.provider_down = True
        self.timeline.after(8 * MINUTE * math.exp(self.chance.gauss(0, 0.5)), self._end_outage)

    def _end_outage(self) -> None:
        self.machines.provider_down = False

    def _quota(self) -> None:
        self.machines.quota = len(self.machines.cloud.servers)
        self.timeline.after(10 * MINUTE * math.exp(self.chance.gauss(0, 0.5)), self._lift_quota)

    def _lift_quota(self) -> None:
        self.machines.quota = None

    def _death(self) -> None:
        alive = self.machines.alive(GROUP.name)
        if alive:
            self.machines.end(self.chance.choice(alive))

    # ---- the end -------------------------------------------------------------------------------------------------

    def _reckon(self) -> Outcome:
        found = self.found
        said = {event.data["opening"]: event.message for event in self.journal.select((MISSED,))}
        found.misses = [(opening, said.get(opening.isoformat(), "")) for opening, _ in found.misses]
        servers = stays(self.journal)
        counted: Ledger = ledger(servers, PRICES, self.begin, self.end, storage(self.journal, servers))
        price = PRICES.prices[0].hour
        found.spent, found.billed = counted.total, self.biller.total(price, self.end)
        causes = counted.by(lambda line: line.cause)
        found.stored = sum((causes[kind][1] for kind in MONTHLY if kind in causes), Fraction(0))
        found.always = Fraction(price) * SERVERS * ((self.end - self.begin) // timedelta(seconds=1)) / 3600
        found.lead = causes.get("lead", (Fraction(0), Fraction(0)))[1]
        return found


def play(seed: int) -> Outcome:
    """One year."""
    return Year(seed).play()


def _chances(chance: random.Random, a_day: float) -> Sequence[float]:
    """Moments of a year, in seconds, at which something happens that does so many times a day."""
    found, at = [], chance.expovariate(a_day)
    while at < 365:
        found.append(at * DAY)
        at += chance.expovariate(a_day)
    return found


def _outfit(create: Create) -> ServerSpec:
    return ServerSpec(PROJECT, create.slot, create.incarnation, create.generation)
