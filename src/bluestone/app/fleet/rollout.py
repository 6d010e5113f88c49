"""Leading a project's groups to their goals: what `up`, `rollback` and `down` have in common."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from math import inf

from msgspec import Struct

from bluestone.app import wiring
from bluestone.app.fleet import beside
from bluestone.app.fleet.outfit import bootfiles, read_secrets
from bluestone.app.fleet.told import ask_lines
from bluestone.app.hours import storage
from bluestone.app.hours.doorbell import Doorbell
from bluestone.app.hours.hours import Stopped, Timekeeper
from bluestone.app.hours.snapshots import SnapshotKeeper
from bluestone.app.image.provenance import require_signed
from bluestone.app.project import Project
from bluestone.fleet import age
from bluestone.fleet.balancer import Balancer
from bluestone.fleet.controller import recall
from bluestone.fleet.controller.act import Tools
from bluestone.fleet.controller.begin import beginning, declare, finished, is_led, started
from bluestone.fleet.controller.controller import Controller, Tick
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.recall import START_OR_END
from bluestone.fleet.controller.resolve import resolve, unanswered
from bluestone.fleet.controller.watcher import Watcher
from bluestone.fleet.findings import way_back
from bluestone.fleet.forecast import Forecast, forecast
from bluestone.fleet.provider import Provider
from bluestone.fleet.remember import begun
from bluestone.logs.receive.credentials import Credentials
from bluestone.model.action import Create
from bluestone.model.event import Event
from bluestone.model.inventory import Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal, Plan, Progress
from bluestone.model.problem import Problem
from bluestone.model.record import Identity
from bluestone.model.server import ServerSpec

MOST_READ = 2000
"""Of a failed server's lines, for the few that are shown."""

NUMBER = re.compile(r"\d+")

Notify = Callable[[datetime, Entry], None]
Watch = Callable[[Tick], None]


def watcher_of(project: Project, providers: Mapping[str, Provider], notify: Notify) -> Watcher:
    """What looks for drift among a project's servers at these providers."""
    return Watcher(providers, project.journal, utc_now, notify, lambda seen: ask_lines(project.logs, seen))


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def tell_nobody(*_: object) -> None:
    """The listener of a use case that changes nothing."""


class Failure(Struct, frozen=True):
    """Why a group's rollout was stopped, and the last lines of the server that failed, if one did."""

    group: str
    reason: str
    server: str
    last_lines: tuple[str, ...]


class Site:
    """A project with its adapters at hand."""

    def __init__(self, project: Project, goals: Sequence[Goal], notify: Notify) -> None:
        self.project = project
        self.goals = tuple(goals)
        names = {goal.group.provider for goal in goals} | {goal.generation.config.provider for goal in goals}
        names |= project.journal.providers()  # a group that moves to another provider leaves servers to destroy
        self.providers: Mapping[str, Provider] = wiring.providers(project, names)
        self.balancer: Balancer = wiring.balancer(project)
        self.receiver = wiring.receiver(project, names)
        tools = Tools(self.providers, self.balancer, self.outfit, self.destroyed, project.journal.fence.may_act)
        self.controller = Controller(goals, tools, project.journal, utc_now, notify)
        self.watcher = watcher_of(project, self.providers, notify)
        self.timekeeper = Timekeeper(project.journal, self.record, self._stopped())
        self.snapshots = SnapshotKeeper(self.providers, self.record, project.journal.fence.may_act)
        self.doorbell = Doorbell(project.journal, self.balancer, self.record)
        self._notify = notify
        self._predicted = 0.0
        self._gone: deque[str] = deque()

    def _stopped(self) -> Stopped:
        """Tells which groups are ended as the month's budget is spent: none, where none is declared."""
        if self.project.declaration.cost is None:
            return lambda _now: {}
        from bluestone.app.hours.cost import Purse

        return Purse(self.project, self.record).stopped

    def keep_hours(self) -> None:
        """Have the next look be led by what the groups' hours want now, and record what the last one showed of that."""
        if not any(goal.group.hours for goal in self.goals):
            return
        last = self.controller.latest
        if last is not None:
            self.timekeeper.note(last)
        inventory = last.inventory if last else self.controller.look()
        goals = self.timekeeper.keep(self.goals, inventory, utc_now())
        if self.doorbell.heed(self.goals, self.timekeeper.wanted, utc_now()):
            goals = self.timekeeper.keep(self.goals, inventory, utc_now())
        self.controller.goals = tuple(goals)
        self._try_again(last)

    def put_away(self) -> None:
        """Have the volumes of groups that sleep be put away where that is declared, beside everything else."""
        last = self.controller.latest
        if last is not None and any(goal.group.snapshots for goal in self.goals):
            self.snapshots.look(last)

    def due_in(self) -> float:
        """Seconds until the clock may want something else; infinity if it is not known to."""
        moments = [moment for moment in (self.timekeeper.next_look, self.doorbell.next_look) if moment]
        return min(((moment - utc_now()).total_seconds() for moment in moments), default=inf)

    def _try_again(self, last: Tick | None) -> None:
        """Begin anew, at an opening, what was stopped on an earlier day: an unattended group shall not stay without
        servers for one bad morning. What failed in favour of an older generation stays quarantined."""
        halted = last.memory.halted if last else {}
        stopped = [goal for goal in self.goals if goal.group.name in self.timekeeper.opened & halted.keys()]
        self.record(started(way_back(goal, last.memory), "bluestone") for goal in stopped if last)

    def taint_aged(self) -> None:
        """Have servers replaced that have become older than they may be."""
        max_age, last = self.project.declaration.max_age, self.controller.latest
        if max_age is not None and last is not None:
            self.record(
                Entry("server.tainted", old.group, old.name, age.why(old, max_age), {"cause": age.AGE})
                for old in age.too_old(last.inventory, last.memory.taints, max_age)
            )

    def look(self) -> tuple[Inventory, Memory]:
        """The world, and what is remembered as if rollouts that have to begin had just begun."""
        inventory = self.controller.look()
        if inventory.gaps:
            # Balancer and providers were not asked at one moment: between them somebody may have made a server.
            self.controller.forget()
            inventory = self.controller.look()
        memory = self.controller.recall(inventory)
        return inventory, begun(memory, beginning(self.project.journal, self.goals, memory))

    def forecast(self) -> Forecast:
        """What leading the groups to their goals takes. Raises `Problem` when the view is incomplete."""
        inventory, memory = self.look()
        if not inventory.complete:
            wiring.require_tools(self.project, building=False)
            raise Problem(
                f"the plan cannot be made, as not everything can be seen: {'; '.join(inventory.gaps)}",
                mend="mend that, or run `bluestone up`, which starts what is not running",
            )
        durations = recall.durations(self.project.journal, [goal.group.name for goal in self.goals])
        goals = self.timekeeper.goals(self.goals, inventory, inventory.at)
        found = forecast(goals, inventory, memory, durations)
        self._predicted = found.seconds
        return found

    def prepare(self) -> None:
        """Have everything run that servers need around them."""
        from bluestone.app.logs import logkeeping

        # The balancer first: where its port is in use, nothing has been started yet.
        if self.controller.services:
            self.balancer.ensure(self.controller.services)
        self.receiver.ensure()
        logkeeping.keep(self.project)
        self.make_room()

    def make_room(self) -> None:
        """Have what providers need for servers. Raises `Problem`."""
        for provider in self.providers.values():
            provider.prepare()
        for goal in self.goals:
            generation = goal.generation
            if generation.config.volumes:
                # Before anything is destroyed: that a volume cannot be had is then known in time.
                slots = range(1, goal.group.count + 1)
                self.providers[generation.config.provider].ensure_volumes(generation, slots)
                self.record(storage.made(self.project.journal, generation, slots))

    def survey(self) -> Forecast:
        """What there is to do, that for drifted servers included. Raises `Problem` when the view is incomplete.

        Groups that are on their way elsewhere are looked at for drift on that way: their servers go whatever they are
        like, and a look takes as long as starting one.
        """
        found = self.forecast()
        moving = {step.action.group for step in found.steps}
        still = [goal.group for goal in self.goals if goal.group.count and goal.group.name not in moving]
        return self.forecast() if self.watcher.look(still).drifted else found

    def watch_for_drift(self) -> None:
        """Have servers that drifted be tainted, if it is time to look again."""
        self.watcher.look_if_due(goal.group for goal in self.goals if goal.group.count)

    def lead(self, watch: Watch, plan: str = "") -> list[Failure]:
        """Begin rollouts, run them to their end, and record how they ended. `plan` is the id of the plan, if known."""
        self.resolve()
        self._begin(plan)
        self.keep_hours()

        def each_tick(now: Tick) -> None:
            watch(now)
            self.taint_aged()
            self.keep_hours()
            self.watch_for_drift()
            if self._awaits_only_goodbyes(now):
                self.seal_last_words(more_to_come=True)

        last = self.controller.run(each_tick)
        self.conclude(last)
        self._forget_retired(last)
        return [self._failure(group) for group in last.halted]

    def _awaits_only_goodbyes(self, now: Tick) -> bool:
        """Whether all serve that shall, and only servers that go are waited for: what is done then delays nothing."""
        wanted = {goal.group.name: goal.group.count for goal in now.goals}
        serving = all(group.serving >= wanted.get(group.group, 0) for group in now.plan.progress)
        return serving and not now.plan.actions and self.controller.destroying

    def is_led(self) -> bool:
        """Whether every group was last led to where it shall be, though its hours may have it asleep now."""
        return is_led(self.project.journal, self.goals)

    def declare(self) -> bool:
        """Record how the groups are declared, by which they are led from now on; whether that is news of any."""
        return declare(self.project.journal, self.goals)

    def resolve(self) -> None:
        """Record what became of actions that somebody began and was killed over."""
        if unanswered(self.project.journal):
            self.record(resolve(self.project.journal, self.controller.look()))

    def conclude(self, plan: Plan) -> None:
        """Record that the rollouts of groups which are where they shall be have ended; have last words sealed."""
        self.record(
            finished(self.project.journal, group, utc_now())
            for group in plan.progress
            if group.state in ("done", "returned") and self._under_way(group.group)
        )
        self.seal_last_words()

    def tear_down(self) -> None:
        """Stop and remove what `prepare` started. Log lines, journal and images stay."""
        self.balancer.stop()
        self.receiver.stop()
        for name, provider in self.providers.items():
            provider.clear()
            beside.clear(self.project, name)

    def _last(self, group: str) -> Event | None:
        return self.project.journal.last(START_OR_END, group=group)

    def _under_way(self, group: str) -> bool:
        last = self._last(group)
        return last is not None and last.kind != "rollout.finished"

    def _begin(self, plan: str) -> None:
        memory = self.controller.recall(self.controller.look())
        begins = beginning(self.project.journal, self.goals, memory)
        goals = (way_back(declared, memory) for declared in self.goals)
        # Declared first: whoever goes on after a crash here leads what was begun, never by an older declaration.
        declare(self.project.journal, self.goals)
        by = self.project.caller.name
        self.record(started(goal, by, plan, self._predicted) for goal in goals if goal.group.name in begins)

    def _forget_retired(self, last: Plan) -> None:
        declared = {group.name for group in self.project.groups}
        declared |= {goal.group.name for goal in self.goals if goal.group.count}
        for group in last.progress:
            if group.state == "done" and group.group not in declared:
                self.project.journal.forget_group(group.group)

    def outfit(self, create: Create) -> ServerSpec:
        """What the server is started with. Its credential for log lines is made here."""
        generation = create.generation
        identity = Identity(self.project.name, create.server, create.group, generation.number, generation.image)
        image = wiring.images(self.project).get(generation.image)
        require_signed(self.project, image)
        files = bootfiles(
            generation.config.environment, read_secrets(generation.config.secrets, self.project.caller.variables)
        )
        files |= wiring.log_files(self.receiver, identity, generation.config)
        epoch = self.project.journal.fence.epoch
        return ServerSpec(
            self.project.name,
            create.slot,
            create.incarnation,
            generation,
            image.writable,
            files,
            epoch,
            create.choice,
        )

    def destroyed(self, server: str) -> None:
        """Take from a server that is gone the right to send log lines; its last ones are to be sealed."""
        with closing(Credentials(self.project.logs)) as credentials:
            credentials.revoke(server)
        self._gone.append(server)

    def seal_last_words(self, *, more_to_come: bool = False) -> None:
        """Seal what servers that are gone said last: of all at once, as the log is walked through for that, and while
        nothing else waits for it. If there are `more_to_come`, what that needs is loaded, which takes the longest."""
        if not self._gone and not more_to_come:
            return
        from bluestone.app.logs.audit import seal_all

        gone = [self._gone.popleft() for _ in range(len(self._gone))]
        if gone:
            with suppress(Problem):  # the lines are safe: who asks for the last words has them sealed then
                seal_all(self.project.logs, gone)

    def _failure(self, progress: Progress) -> Failure:
        halt = self.project.journal.last(("rollout.halted", "rollout.paused"), group=progress.group)
        server = halt.server if halt else ""
        lines = self._last_lines(server, halt.at) if halt and server else ()
        return Failure(progress.group, progress.waiting[0], server, lines)

    def _last_lines(self, server: str, halted: datetime, count: int = 15) -> tuple[str, ...]:
        """What a server wrote until its rollout was halted: what it wrote on being destroyed explains nothing.

        Of lines that differ in numbers only, such as those on each health check, the last one.
        """
        from bluestone.logs.query.archive import Archive
        from bluestone.logs.query.asked import Query

        with closing(Archive(self.project.logs)) as archive:
            found = tuple(archive.search(Query(server=server, until=halted, limit=MOST_READ)))
            # A clock that is ahead has written nothing yet.
            found = found or tuple(archive.last_lines(server, MOST_READ))
        in_order = sorted(found, key=lambda record: record.at)
        told = {(record.unit, NUMBER.sub("", record.message)): record for record in in_order}
        last = sorted(told.values(), key=lambda record: record.at)[-count:]
        return tuple(f"{record.at:%H:%M:%S} {record.unit}: {record.message}" for record in last)

    def record(self, entries: Iterable[Entry], *, incarnations: int = 0) -> None:
        """Write entries to the journal, and tell whoever listens. Numbers of servers up to `incarnations` are taken."""
        now, entries = utc_now(), tuple(entries)
        self.project.journal.record(now, entries, incarnations=incarnations)
        for entry in entries:
            self._notify(now, entry)
