"""Goals by the clock: how many servers of each declared group shall be up at this moment, and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from bluestone.fleet.controller.controller import Tick
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.hours.calendar import Timetable, timetable
from bluestone.hours.days import Doubt, Holidays, holidays_of
from bluestone.hours.decide import Known, Standing, decide, next_look
from bluestone.hours.lead import BOOT_KINDS, REMEMBERED, Boot, Lead, boots, learned
from bluestone.hours.missed import TROUBLE, explain
from bluestone.hours.overrides import KEPT, RELEASED, in_force
from bluestone.model.event import Event
from bluestone.model.group import Group
from bluestone.model.hours import Hours, Override, Wanted
from bluestone.model.inventory import Inventory
from bluestone.model.plan import Goal

CHANGED, MET, MISSED = "hours.changed", "hours.met", "hours.missed"
"""Another number of servers is wanted; all serve that were to for an opening; they did not in time."""

WOKEN, SLEPT = "hours.woken", "hours.slept"
"""A request woke a group; none came for long enough."""

AHEAD = timedelta(days=400)
"""How far a timetable goes."""

AT_THE_OPENING = timedelta(minutes=1)
"""So long after an opening servers that were ready, and are gone, have missed it: later they just died."""

LEADS_KEPT = timedelta(hours=1)
"""How long leads are taken for right before they are learned anew."""

NEWEST = 20
"""Newest entries of the journal that tell whether the clock has been set back since."""

OVERRIDES_READ = 256
"""How many of the newest overrides are looked at."""


Stopped = Callable[[datetime], Mapping[str, str]]


class Timekeeper:
    """Says what the hours of a project's groups want, and records when that changes and whether openings were met.

    `record` writes to the journal, `stopped` says why groups are ended that are.
    """

    def __init__(self, journal: Journal, record: Callable[[Iterable[Entry]], None], stopped: Stopped) -> None:
        self._journal = journal
        self._record = record
        self._stopped = stopped
        self._leads: dict[str, Lead] = {}
        self._learned_at: datetime | None = None
        self._looked_at: datetime | None = None
        self.opened: frozenset[str] = frozenset()
        """The groups for which the last decision was the first to want more servers than before."""
        self.next_look: datetime | None = None
        """When the hours may want something else, as far as the last decision knew."""
        self.wanted: tuple[Wanted, ...] = ()
        """What was decided last."""

    def goals(self, goals: Sequence[Goal], inventory: Inventory, now: datetime) -> list[Goal]:
        """The goals with the counts that are wanted now. Those of groups without hours are as they were."""
        groups = [goal.group for goal in goals if goal.group.count]
        if not any(group.hours for group in groups):
            self.wanted, self.next_look = (), None
            return list(goals)
        known = self._known(goals, inventory, now)
        self.wanted = tuple(decide(groups, known, now))
        self.next_look = next_look(groups, known, now)
        found = {wanted.group: wanted for wanted in self.wanted}
        return [_at(goal, found.get(goal.group.name)) for goal in goals]

    def asleep(self) -> list[str]:
        """What the hours have not up now, and why, a line for each group."""
        return [f"{each.group}: {each.count} servers now, as {each.why}" for each in self.wanted if each.lessened]

    def keep(self, goals: Sequence[Goal], inventory: Inventory, now: datetime) -> list[Goal]:
        """As `goals`, for who will act on them: that another number is wanted is recorded before anything is done."""
        found = self.goals(goals, inventory, now)
        timed = {goal.group.name: goal.group.hours for goal in goals}
        entries, opened = [], set()
        for wanted in self.wanted:
            hours, last = timed[wanted.group], self._journal.last((CHANGED,), group=wanted.group)
            if hours and (last is None or last.data.get("count") != wanted.count):
                entries.append(self._changed(wanted, last, hours, now))
                opened |= {wanted.group} if last and wanted.count > int(last.data.get("count", 0)) else set()
        self._looked_at, self.opened = now, frozenset(opened)
        if entries:
            self._record(entries)
        return found

    def note(self, tick: Tick) -> None:
        """Record what a look shows of openings: that all servers serve for one, or do not in time."""
        goals = {goal.group.name: goal for goal in tick.goals}
        standings = standings_of(tick.inventory, tick.goals)
        entries = []
        for wanted in self.wanted:
            hours, last = goals[wanted.group].group.hours, self._journal.last((CHANGED,), group=wanted.group)
            if hours and last and (entry := self._of_opening(wanted, last, hours, standings, tick)):
                entries.append(entry)
        if entries:
            self._record(entries)

    def leads(self, goals: Sequence[Goal], now: datetime) -> Mapping[str, Lead]:
        """How long before an opening the servers of each group that has hours are begun."""
        if self._learned_at is None or not timedelta(0) <= now - self._learned_at < LEADS_KEPT:
            self._leads = leads(self._journal, goals)
            self._learned_at = now
        return self._leads

    def _known(self, goals: Sequence[Goal], inventory: Inventory, now: datetime) -> Known:
        groups = [goal.group for goal in goals if goal.group.hours]
        tables = {group.name: table_of(group.hours, now) for group in groups if group.hours}
        return Known(
            tables={name: table for name, (table, _) in tables.items()},
            leads={name: lead.seconds for name, lead in self.leads(goals, now).items()},
            doubts={name: in_doubt(doubts, now) for name, (_, doubts) in tables.items()},
            overrides=overrides(self._journal, now),
            standings=standings_of(inventory, goals),
            awake=awake(self._journal, groups),
            stopped=self._stopped(now),
            newest=max((event.at for event in self._journal.events(limit=NEWEST)), default=None),
        )

    def _changed(self, wanted: Wanted, last: Event | None, hours: Hours, now: datetime) -> Entry:
        data: dict[str, object] = {"count": wanted.count}
        before = int(last.data.get("count", 0)) if last else 0
        if wanted.opening and wanted.count > before:
            data |= {"opening": wanted.opening.isoformat(), "lead_s": round(self._lead(wanted.group), 1)}
        elif last is not None and wanted.count > before and (passed := _passed_opening(hours, last.at, now)):
            data |= {"opening": passed.isoformat(), "late": True}
            data |= {"looked": self._looked_at.isoformat()} if self._looked_at else {}
        data |= {"doubts": list(wanted.doubts)} if wanted.doubts else {}
        return Entry(CHANGED, wanted.group, message=f"{wanted.count} servers: {wanted.why}", data=data)

    def _lead(self, group: str) -> float:
        return self._leads[group].seconds if group in self._leads else 0.0

    def _of_opening(
        self, wanted: Wanted, changed: Event, hours: Hours, standings: Mapping[str, Standing], tick: Tick
    ) -> Entry | None:
        """That an opening was met, or missed, if that is known and was not said yet."""
        if "opening" not in changed.data:
            return None
        said = self._journal.last((MET, MISSED), group=wanted.group)
        said = said if said and said.sequence > changed.sequence else None
        opening, now = datetime.fromisoformat(changed.data["opening"]), tick.inventory.at
        serves = standings.get(wanted.group, Standing()).serving >= wanted.count
        if said and said.kind == MET:
            if serves or not opening <= now < opening + AT_THE_OPENING:
                return None
            said = None  # They were all up ahead of it, and at the opening itself they are not.
        early = (opening - hours.ready_by - now).total_seconds()
        data = {"opening": changed.data["opening"], "early_s": round(early, 1)}
        if serves:
            when = f"{early:.0f} s ahead of" if early >= 0 else f"{-early:.0f} s after"
            due = opening - hours.ready_by
            text = f"{wanted.count} servers serve, {when} {due:%a %d %b %H:%M} UTC"
            return Entry(MET, wanted.group, message=text, data=data)
        if early >= 0 or said:
            return None
        late = bool(changed.data.get("late"))
        trouble = self._journal.select(TROUBLE, group=wanted.group, after=changed.sequence, newest=100)[::-1]
        looked = changed.data.get("looked")
        waiting = next((group.waiting for group in tick.plan.progress if group.group == wanted.group), ())
        why = explain(
            opening,
            None if late else changed.at,
            datetime.fromisoformat(looked) if looked else opening - timedelta(days=1) if late else None,
            trouble,
            waiting,
        )
        return Entry(MISSED, wanted.group, message=why, data=data)


def overrides(journal: Journal, now: datetime) -> list[Override]:
    """The exceptions to hours that are in force."""
    return in_force(journal.select((KEPT, RELEASED), newest=OVERRIDES_READ)[::-1], now)


def awake(journal: Journal, groups: Sequence[Group]) -> dict[str, datetime]:
    """Since when requests keep groups awake, by group."""
    found = {}
    for group in groups:
        if group.hours and group.hours.on_request:
            last = journal.last((WOKEN, SLEPT), group=group.name)
            if last is not None and last.kind == WOKEN:
                found[group.name] = last.at
    return found


def leads(journal: Journal, goals: Sequence[Goal]) -> dict[str, Lead]:
    """How long before an opening the servers of each group that has hours are begun: as declared, or as learned."""
    known: dict[str, list[Boot]] = {}
    found = {}
    for goal in goals:
        group, hours = goal.group, goal.group.hours
        if hours is None:
            continue
        if hours.lead is not None:
            found[group.name] = Lead(hours.lead.total_seconds(), "as declared")
            continue
        provider = goal.generation.config.provider or group.provider
        if provider not in known:
            alike = [each.group for each in goals if each.group.provider == provider]
            known[provider] = [boot for each in alike for boot in _boots(journal, each)]
        found[group.name] = learned(known[provider], goal.generation.image, group.count)
    return found


def standings_of(inventory: Inventory, goals: Iterable[Goal]) -> dict[str, Standing]:
    """How many servers of each group exist, and how many serve."""
    found: dict[str, Standing] = {}
    balanced = {goal.group.name for goal in goals if goal.group.ports}
    for server in inventory.servers:
        if server.phase == "dead":
            continue
        backend = inventory.backend(server.name)
        answers = (
            backend.admission == "attached" and backend.health == "up" if backend else server.group not in balanced
        )
        before = found.get(server.group, Standing())
        found[server.group] = Standing(before.total + 1, before.serving + (answers and server.phase == "running"))
    return found


def table_of(hours: Hours, now: datetime) -> tuple[Timetable, tuple[Doubt, ...]]:
    """The timetable around this moment, for a year to come, and what is not known of it."""
    here = now.astimezone(ZoneInfo(hours.zone)).date()
    first = date(here.year, here.month, 1) - timedelta(days=1)
    years = range(first.year, (first + AHEAD).year + 1)
    holidays = holidays_of(hours, years)
    return _timetable(hours, holidays, first), holidays.doubts


def in_doubt(doubts: Iterable[Doubt], now: datetime) -> tuple[str, ...]:
    """What is not known of now, or of tomorrow, for which servers may be begun already."""
    return tuple(doubt.what for doubt in doubts if doubt.since <= now.date() + timedelta(days=1))


@lru_cache(maxsize=4096)
def _timetable(hours: Hours, holidays: Holidays, first: date) -> Timetable:
    return timetable(hours, holidays.days, first, first + AHEAD)


def _boots(journal: Journal, group: Group) -> list[Boot]:
    events = journal.select(BOOT_KINDS, group=group.name, newest=REMEMBERED * 4)[::-1]
    return boots(events, balanced=bool(group.ports))


def _passed_opening(hours: Hours, since: datetime, now: datetime) -> datetime | None:
    """The newest opening after a moment and before now."""
    table, _ = table_of(hours, now)
    found = [at for at, _ in table.openings(since.timestamp(), now.timestamp())]
    return datetime.fromtimestamp(found[-1], UTC) if found else None


def _at(goal: Goal, wanted: Wanted | None) -> Goal:
    if wanted is None or not wanted.lessened:
        return goal
    group = replace(goal.group, count=wanted.count)
    return replace(goal, group=group, declared=goal.group.count, because=wanted.why)
