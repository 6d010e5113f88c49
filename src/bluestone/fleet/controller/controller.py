"""`tick()`: observe, plan, act, record. The one loop that everything else is a loop around."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from bluestone.fleet.balancer import Service
from bluestone.fleet.controller.act import Actor, Outcome, Tools, Workers
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.observe import MAX_AGE, Lookout, observe, services_of, with_pending
from bluestone.fleet.controller.recall import NO_ROOM, Recollection, UnbornServer, expected, recall
from bluestone.fleet.controller.strays import Register
from bluestone.fleet.lint import lint
from bluestone.fleet.plan import plan
from bluestone.fleet.remember import remember
from bluestone.model.action import PAST, Action, Create, Destroy
from bluestone.model.generation import Generation
from bluestone.model.inventory import Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import CanaryBegan, Died, Fact, Goal, Halted, Plan, Returned
from bluestone.model.problem import NoRoom, Problem, Refused
from bluestone.model.server import Server

INTERVAL = 0.03
"""Seconds between two looks at the world while things move that do not tell when they have."""

PATIENCE = 0.25
"""The same while only actions of our own are waited for: their end is told at once, and looking takes from them the
processor that they need."""

LONGEST_REST = 1.0
"""Seconds between two looks while nothing has moved for long: a bake, or old servers that are kept."""

BLIND_LIMIT = timedelta(seconds=60)
"""How long the view may stay incomplete before `run` gives up."""


def _ignore(*_: object) -> None:
    """For a caller who does not want to be told."""


class Tick(Struct, frozen=True):
    """What one tick was to lead to, what it saw and remembered, what it planned, and the seconds that all that took."""

    goals: tuple[Goal, ...]
    inventory: Inventory
    memory: Memory
    plan: Plan
    took: float

    @property
    def busy(self) -> bool:
        """Whether a group is on its way."""
        return any(group.state == "working" for group in self.plan.progress)


class Controller:
    """Leads the groups of one project to their goals.

    `notify` is told each journal entry as it is recorded; `clock` gives the time in UTC; `workers` make the calls
    (threads, unless others are given).
    """

    def __init__(
        self,
        goals: Sequence[Goal],
        tools: Tools,
        journal: Journal,
        clock: Callable[[], datetime],
        notify: Callable[[datetime, Entry], None] = _ignore,
        workers: Workers | None = None,
    ) -> None:
        self.goals = tuple(goals)
        self._tools = tools
        self._journal = journal
        self._clock = clock
        self._notify = notify
        self._actor = Actor(tools, clock, workers)
        self._lookout = Lookout(tools.providers)
        self._moved_at: datetime | None = None
        self._just_ended = False
        self.latest: Tick | None = None
        """What the newest tick saw and planned."""
        self._register = Register(journal)
        self._looked = False
        self._recollection = Recollection(journal)
        self._generations: dict[tuple[str, int], Generation] = {}
        self._doomed: dict[str, tuple[Destroy, datetime]] = {}

    @property
    def services(self) -> tuple[Service, ...]:
        """What the balancer has to offer."""
        return services_of(self.goals)

    def tick(self) -> Plan:
        """Observe, plan, record and begin to act; return the plan. Never waits for an action."""
        began = time.monotonic()
        outcomes = self._actor.collect()
        self._just_ended = bool(outcomes)
        self._record_outcomes(outcomes)
        inventory = self.observe()
        self._record_gone(inventory)
        memory = self.recall(inventory)
        now = plan(self.goals, inventory, memory)
        self._check(now, inventory, memory)
        self._record_plan(now)
        self._actor.start(now.actions, inventory)
        if self.latest is None or now.actions or now.facts or now.progress != self.latest.plan.progress:
            self._moved_at = inventory.at
        self.latest = Tick(self.goals, inventory, memory, now, time.monotonic() - began)
        return now

    def run(self, watch: Callable[[Tick], None] = _ignore) -> Plan:
        """Tick until every group is done or halted; return the last plan.

        Raises `Problem` when the view stays incomplete for `BLIND_LIMIT`. On any way out, actions that have
        begun are waited for, and their outcomes recorded; what is left to do is done by whoever runs next.
        """
        with self.at_work():
            return self._tick_to_the_end(watch)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Actions may be begun in it, once. On any way out, those that have begun are waited for and recorded."""
        try:
            with self._actor.open():
                yield
        finally:
            self._record_outcomes(self._actor.collect())

    @property
    def under_way(self) -> bool:
        """Whether an action has begun and not ended."""
        return bool(self._actor.under_way)

    @property
    def destroying(self) -> bool:
        """Whether actions are under way, and all of them destroy servers."""
        return self.under_way and all(isinstance(action, Destroy) for action in self._actor.under_way)

    def rest(self) -> None:
        """Wait until the next look is due: at once while things move, ever less often while they do not."""
        shortest = PATIENCE if self._is_patient() else INTERVAL
        self._actor.wait(min(LONGEST_REST, max(shortest, self._quiet() / 20)))

    def _quiet(self) -> float:
        """For how many seconds nothing has moved."""
        return (self._clock() - self._moved_at).total_seconds() if self._moved_at else 0.0

    def _is_patient(self) -> bool:
        """Whether only actions of our own are waited for: no server's health, and nobody's sessions."""
        if self.latest is None or not self.under_way:
            return False
        acted_on = {action.server for action in self._actor.under_way}
        backends = self.latest.inventory.backends
        return all(backend.admission == "attached" or backend.server in acted_on for backend in backends)

    def _is_hurried(self) -> bool:
        """Whether the next step waits for this look, or for an action of our own, whose end a list would delay."""
        return self._just_ended or self.under_way or self._quiet() < MAX_AGE.total_seconds()

    def forget(self) -> None:
        """Something has changed the servers: the next look lists them anew."""
        self._lookout.forget()

    def _tick_to_the_end(self, watch: Callable[[Tick], None]) -> Plan:
        blind_since: datetime | None = None
        while True:
            now = self.tick()
            assert self.latest is not None
            watch(self.latest)
            if not self._actor.under_way and all(group.state != "working" for group in now.progress):
                return now
            blind_since = self._check_sight(now, blind_since)
            self.rest()

    def look(self) -> Inventory:
        """The world now, without starting anything: a balancer that does not run knows no servers."""
        running = self._tools.balancer.is_running()
        services = self.services if running else ()
        return self._register.part(observe(self._lookout, self._tools.balancer, services, self._clock()))

    def observe(self) -> Inventory:
        """The world now, with what this controller is doing in it; a dead balancer is started first."""
        self._expect()
        unseen = self._ensure_balancer()
        self._lookout.hurried = self._is_hurried()
        inventory = self._register.part(observe(self._lookout, self._tools.balancer, self.services, self._clock()))
        inventory = replace(inventory, gaps=unseen + inventory.gaps)
        return with_pending(inventory, self._actor.under_way, self._unborn(inventory.at))

    def recall(self, inventory: Inventory) -> Memory:
        """What the journal knows of the observed servers."""
        groups = {goal.group.name for goal in self.goals} | inventory.groups
        memory = recall(self._journal, sorted(groups), inventory.names, inventory.at, self._recollection)
        # A journal that was lost begins anew, and a server's name must not be used again.
        unseen = 1 + max([server.incarnation for server in inventory.servers], default=0)
        return replace(memory, next_incarnation=max(memory.next_incarnation, unseen))

    def _ensure_balancer(self) -> tuple[str, ...]:
        if not self.services:
            return ()
        try:
            self._tools.balancer.ensure(self.services)
        except Problem as problem:
            return (f"the balancer: {problem.what}",)
        return ()

    def _unborn(self, now: datetime) -> list[Server]:
        """Servers that may still appear: somebody was killed while creating them, or lists lag behind."""
        mine = {action.server for action in self._actor.under_way}
        unresolved = self._recollection.unresolved_creates(now, self._lookout.lag)
        unborn = [one for one in unresolved if one.server not in mine]
        return self._coming(unborn)

    def _expect(self) -> None:
        """Have servers missed that exist by the journal's word, where lists may leave some out."""
        if self._lookout.lag and not self._looked:
            for goal in self.goals:
                self._lookout.expect(self._coming(expected(self._journal, goal.group.name)))
        self._looked = True

    def _coming(self, unborn: Iterable[UnbornServer]) -> list[Server]:
        return [
            Create(one.slot, one.incarnation, generation, "").coming(one.at)
            for one in unborn
            if (generation := self._generation(one.group, one.generation))
        ]

    def _generation(self, group: str, number: int) -> Generation | None:
        """A generation by its number; it never changes."""
        if (group, number) not in self._generations:
            if (found := self._journal.generation_number(group, number)) is None:
                return None
            self._generations[group, number] = found
        return self._generations[group, number]

    def _record_plan(self, now: Plan) -> None:
        """The facts and the intents of a plan, before anything is done."""
        entries = [self._of_fact(fact) for fact in now.facts] + [_of_intent(action) for action in now.actions]
        numbers = [action.incarnation for action in now.actions if isinstance(action, Create)]
        self._record(entries, incarnations=max(numbers, default=0))

    def _record_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._look_out(outcome)
        self._record([_of_outcome(outcome) for outcome in outcomes])

    def _record_gone(self, inventory: Inventory) -> None:
        """Record that servers are gone whose destroying was said to have failed: only the answer was lost."""
        gone = [name for name in self._doomed if inventory.complete and name not in inventory.names]
        entries = []
        for name in gone:
            action, ended = self._doomed.pop(name)
            data = {"verb": action.verb, "ended": ended.isoformat()}
            entries.append(Entry("server.destroyed", action.group, name, f"{action.reason} (found so)", data))
        self._record(entries)

    def _look_out(self, outcome: Outcome) -> None:
        """Have the lookout know what became of an action on a server."""
        match outcome.action:
            case Create() if outcome.server is not None:
                self._lookout.came(outcome.server)
            case Destroy() if outcome.problem is None:
                self._doomed.pop(outcome.action.server, None)
                self._lookout.went(outcome.action.server)
            case Destroy():
                self._doomed[outcome.action.server] = outcome.action, outcome.ended or outcome.began
                self._lookout.forget()
            case Create():
                self._lookout.forget()

    def _record(self, entries: Sequence[Entry], *, incarnations: int = 0) -> None:
        now = self._clock()
        self._journal.record(now, entries, incarnations=incarnations)
        for entry in entries:
            self._notify(now, entry)

    def _of_fact(self, fact: Fact) -> Entry:
        numbers = {goal.group.name: goal.generation.number for goal in self.goals}
        data: dict[str, object] = {"generation": getattr(fact, "generation", 0) or numbers.get(fact.group, 0)}
        match fact:
            case Died():
                data["counts"] = fact.counts
            case Halted():
                data["declared"] = fact.declared
            case Returned():
                data |= {"count": fact.count, "failed": fact.failed, "by": "bluestone"}
            case CanaryBegan():
                counted = fact.baseline.items()
                data["baseline"] = {name: [c.requests, c.errors, c.response_ms] for name, c in counted}
        return Entry(fact.kind, fact.group, fact.server, fact.reason, data)

    def _check(self, now: Plan, inventory: Inventory, memory: Memory) -> None:
        """Refuse a plan that breaks what must always hold. Raises `Problem`."""
        if wrong := lint(now, self.goals, inventory, remember(memory, now.facts, inventory.at)):
            raise Problem(
                f"bluestone made a plan that it must not carry out: {'; '.join(wrong)}",
                mend="this is a mistake of bluestone's own: report it, with `bluestone events` and `bluestone plan`",
                left="nothing of that plan was done",
            )

    def _check_sight(self, now: Plan, blind_since: datetime | None) -> datetime | None:
        blind = [w for group in now.progress for w in group.waiting if w.startswith("cannot see: ")]
        if not blind:
            return None
        since = blind_since or self._clock()
        if self._clock() - since > BLIND_LIMIT:
            raise Problem(
                f"{blind[0]}, for more than {BLIND_LIMIT.total_seconds():g} s",
                mend="mend that, then run this again: it goes on where it stopped",
                left="an incomplete view destroys nothing: all servers are as they were",
            )
        return since


def _of_intent(action: Action) -> Entry:
    data: dict[str, object] = {}
    if isinstance(action, Create):
        data = {
            "slot": action.slot,
            "incarnation": action.incarnation,
            "generation": action.generation.number,
            "image": action.generation.image,
        }
        if choice := action.choice:
            data |= {"memory": choice.resources.memory, "cpus": choice.resources.cpus, "zone": choice.zone}
    return Entry(f"server.{action.verb}", action.group, action.server, action.reason, data)


def _of_outcome(outcome: Outcome) -> Entry:
    action, problem = outcome.action, outcome.problem
    data: dict[str, object] = {"verb": action.verb, "took_s": round(outcome.took, 3)}
    if problem is None:
        # From when until when it existed, to the moment: what it costs.
        if outcome.server is not None:
            data["existed"] = outcome.server.created_at.isoformat()
        if isinstance(action, Destroy) and outcome.ended is not None:
            data["ended"] = outcome.ended.isoformat()
        return Entry(f"server.{PAST[action.verb]}", action.group, action.server, action.reason, data)
    if isinstance(problem, NoRoom) and isinstance(action, Create) and action.choice:
        data[NO_ROOM] = str(action.choice)
    kind = "action.refused" if isinstance(problem, Refused) else "action.failed"
    return Entry(kind, action.group, action.server, f"{action.verb}: {problem.what}", data)
