"""`cost`: what servers and storage cost, what it would have been if all was always up, and what went for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise

from msgspec import Struct, field
from msgspec.structs import replace

from bluestone.app.fleet.goals import current, no_generation
from bluestone.app.hours.hours import CHANGED, leads, table_of
from bluestone.app.hours.pricing import price_list
from bluestone.app.hours.storage import storage
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.lifetimes import ENDED, KINDS, SEEN, changes
from bluestone.hours.calendar import Timetable
from bluestone.hours.ledger import Ledger, amount, cents, ledger
from bluestone.hours.prices import price_at
from bluestone.model.cost import CostPolicy, Kept, PriceList, Stay, StorageKind
from bluestone.model.event import Event
from bluestone.model.group import Group, Resources
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem
from bluestone.model.volume import volume_name

WARNED, STOPPED = "budget.warned", "budget.stopped"
"""A month has cost the share of its budget that a person is told of; and all of it."""

COUNTED_EVERY = timedelta(minutes=1)
"""How long what was spent is taken for right."""

LOOKED_AHEAD = timedelta(days=30)
"""What a forecast is for."""

_MARKS = ("server.attached", "server.detach", CHANGED)


class Bill(Struct, frozen=True):
    """What a stretch of time cost. `always_on` is what the same groups would have cost if all their servers had been
    there from the first day of theirs in it, and no volume ever a snapshot; amounts are exact, in `currency`.
    `fetched` says of which day the prices are that providers told."""

    ledger: Ledger
    currency: str
    dated: date
    always_on: Fraction
    groups: Mapping[str, Fraction]
    fetched: Mapping[str, date] = field(default_factory=dict)

    @property
    def saved(self) -> Fraction:
        """How much less it was than always on; negative if it was more."""
        return self.always_on - self.ledger.total


class Forecast(Struct, frozen=True):
    """What the next `LOOKED_AHEAD` would cost by hours and leads, by group: as declared, and as in another file."""

    currency: str
    now: Mapping[str, Fraction]
    then: Mapping[str, Fraction]


def bill(project: Project, now: datetime, month: date | None = None) -> Bill:
    """What a month (this one, if none is named) cost so far. Raises `Problem` without prices."""
    prices = price_list(project)
    begin, end = month_of(month or now.date())
    return bill_of(project, prices, begin, min(end, max(now, begin)))


def bill_of(project: Project, prices: PriceList, begin: datetime, end: datetime) -> Bill:
    """What servers and storage cost from `begin` until before `end`."""
    found = stays(project.journal)
    stored = storage(project.journal, found)
    groups = {group.name: group for group in (*project.journal.declared(), *project.groups)}
    always = {
        name: _always_on(group, [stay for stay in found if stay.group == name], prices, begin, end)
        for name, group in groups.items()
    }
    volumes = ledger((), prices, begin, end, (replace(each, kind="volume") for each in stored))
    for name, (_, kept_whole) in volumes.by(lambda line: line.group).items():
        always[name] = always.get(name, Fraction(0)) + kept_whole
    return Bill(
        ledger(found, prices, begin, end, stored),
        prices.currency,
        prices.dated,
        sum(always.values(), Fraction(0)),
        always,
        prices.fetched,
    )


def what_if(project: Project, other: Project, now: datetime) -> Forecast:
    """What the next days would cost as declared, and as another declaration of the same project has it."""
    prices = price_list(project)
    return Forecast(prices.currency, _planned(project, project, prices, now), _planned(project, other, prices, now))


def stays(journal: Journal) -> list[Stay]:
    """Every server that the journal knows of, oldest first."""
    events = journal.select((*KINDS, *_MARKS))[::-1]

    def image_of(group: str, number: int) -> str:
        generation = journal.generation_number(group, number)
        return generation.image if generation else ""

    found: dict[str, Stay] = {}
    openings: dict[str, datetime] = {}
    ahead: dict[str, datetime] = {}
    for event in events:
        if event.kind == CHANGED:
            openings.pop(event.group, None)
            if "opening" in event.data:
                openings[event.group] = datetime.fromisoformat(event.data["opening"])
        elif event.kind == "server.create" and (opening := openings.get(event.group)) and event.at < opening:
            ahead[event.server] = opening
    for change in changes((event for event in events if event.kind in KINDS), image_of):
        if change.kind == "began":
            opening, image = ahead.get(change.server), change.image or ""
            found[change.server] = Stay(change.server, change.group, image, "", None, None, change.at, opening=opening)
        elif change.server in found:
            ended = change.at if change.kind == "ended" else None
            found[change.server] = replace(found[change.server], ended=ended)
    for event in events:
        if event.server in found:
            found[event.server] = _told(found[event.server], event, journal)
    # What nobody ever saw, and nobody had to destroy, never existed: its creation failed.
    there = {event.server for event in events if event.kind in (*SEEN, ENDED)}
    return [stay for stay in found.values() if stay.ended is None or stay.server in there]


def spent(project: Project, now: datetime) -> tuple[CostPolicy, Bill] | None:
    """What this month cost so far, where there is a budget for it."""
    policy = project.declaration.cost
    if policy is None or policy.budget is None:
        return None
    begin, _ = month_of(now.date())
    return policy, bill_of(project, price_list(project), begin, now)


def over_budget(policy: CostPolicy, found: Bill, said: Iterable[Event], now: datetime) -> tuple[str, list[Entry]]:
    """Why the optional groups are ended for the rest of the month, if they are; and what is to be recorded now.

    `said` are the warnings and stops of before: each is said once in a month.
    """
    assert policy.budget is not None
    total, limit = cents(found.ledger.total), policy.budget
    month = f"{now:%Y-%m}"
    told = {event.kind for event in said if event.data.get("month") == month}
    data = {"month": month, "spent": str(total), "budget": str(limit), "currency": found.currency}
    text = f"{total} of {limit} {found.currency} are spent in {now:%B}"
    stop = f"the month's budget is spent: {text}" if total >= limit else ""
    entries = []
    if stop and STOPPED not in told:
        ends = f"; until it is over these are ended: {', '.join(policy.optional)}" if policy.optional else ""
        entries.append(Entry(STOPPED, message=f"{text}{ends}", data=data))
    elif total * 100 >= limit * policy.warn_at and not told:
        entries.append(Entry(WARNED, message=text, data=data))
    return stop, entries


def ended(project: Project, now: datetime) -> dict[str, str]:
    """Why each of the groups is ended that are, as the month's budget is spent; none where prices cannot be read."""
    try:
        found = spent(project, now) if project.declaration.cost else None
    except Problem:
        return {}
    why = over_budget(*found, (), now)[0] if found else ""
    return dict.fromkeys(found[0].optional, why) if found and why else {}


class Purse:
    """Says which groups are ended as the month's budget is spent, and records that and its warning, once a month."""

    def __init__(self, project: Project, record: Callable[[Iterable[Entry]], None]) -> None:
        self._project = project
        self._record = record
        self._counted_at: datetime | None = None
        self._stopped: dict[str, str] = {}

    def stopped(self, now: datetime) -> dict[str, str]:
        """Why each of the groups is ended that are. It is counted anew no oftener than `COUNTED_EVERY`."""
        if self._counted_at is not None and timedelta(0) <= now - self._counted_at < COUNTED_EVERY:
            return self._stopped
        self._counted_at, self._stopped = now, {}
        try:
            found = spent(self._project, now)
        except Problem:
            # Prices that cannot be read end nothing: in doubt servers stay up.
            return self._stopped
        if found is not None:
            policy, so_far = found
            said = self._project.journal.select((WARNED, STOPPED), newest=16)
            why, entries = over_budget(policy, so_far, said, now)
            self._stopped = dict.fromkeys(policy.optional, why) if why else {}
            if entries:
                self._record(entries)
        return self._stopped


def month_of(day: date) -> tuple[datetime, datetime]:
    """The beginning of the month of a day, and of the next, in UTC."""
    begin = datetime(day.year, day.month, 1, tzinfo=UTC)
    return begin, datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)


def _told(stay: Stay, event: Event, journal: Journal) -> Stay:
    match event.kind:
        case "server.create":
            generation = journal.generation_number(event.group, int(event.data.get("generation", 0)))
            if generation is None:
                return stay
            config = generation.config
            limits = config.resources
            if "memory" in event.data:  # one of several sizes
                limits = Resources(event.data["memory"], event.data["cpus"])
            # Nobody attaches a server without ports: it serves as soon as it is there.
            ready = stay.began if not config.ports else None
            has = replace(stay, provider=config.provider, volumes=config.volumes, attached=ready)
            return replace(has, cpus=limits.cpus, memory=limits.memory)
        case "server.created" if "existed" in event.data:
            return replace(stay, began=datetime.fromisoformat(event.data["existed"]))
        case "server.destroyed" if "ended" in event.data:
            return replace(stay, ended=datetime.fromisoformat(event.data["ended"]))
        case "server.attached":
            return replace(stay, attached=stay.attached or event.at)
        case "server.detach":
            return replace(stay, detached=event.at)
    return stay


def _always_on(group: Group, stays: list[Stay], prices: PriceList, begin: datetime, end: datetime) -> Fraction:
    """What a group's servers would have cost without hours, from the first server that it had in this time."""
    here = [stay for stay in stays if stay.began < end and (stay.ended is None or stay.ended > begin)]
    if not here:
        return Fraction(0)
    first = max(begin, min(stay.began for stay in stays))
    return group.count * _priced(group, prices, first, end)


def _priced(group: Group, prices: PriceList, begin: datetime, end: datetime) -> Fraction:
    """What one server of a group costs from one instant to another."""
    dates = {datetime.combine(price.since, time(), UTC) for price in prices.prices}
    edges = sorted({begin, end, *(edge for edge in dates if begin < edge < end)})
    total = Fraction(0)
    for since, until in pairwise(edges):
        price = price_at(prices.prices, group.provider, group.resources.cpus, group.resources.memory, since)
        total += amount(price.hour, until - since) if price else 0
    return total


def _planned(project: Project, declared: Project, prices: PriceList, now: datetime) -> dict[str, Fraction]:
    goals = [_goal(project, group) for group in declared.groups]
    learned = leads(project.journal, goals)
    stored = storage(project.journal, stays(project.journal))
    return {
        group.name: _plan_of(group, learned[group.name].seconds if group.name in learned else 0.0, prices, now)
        + _storage_of(group, stored, prices, now)
        for group in declared.groups
    }


def _storage_of(group: Group, stored: list[Kept], prices: PriceList, now: datetime) -> Fraction:
    """What the volumes of all of a group's slots will cost; snapshots taken to be as large as the last of theirs."""
    end = now + LOOKED_AHEAD
    taken = {each.name: each.stored for each in stored if each.kind == "snapshot"}
    future = []
    for slot in range(1, group.count + 1):
        for spec in group.volumes:
            name = volume_name(group.name, slot, spec.name)
            for begin, until, count in _counts(group, now, end) if spec.name in group.snapshots else [(now, end, slot)]:
                kind: StorageKind = "volume" if slot <= count else "snapshot"
                future.append(Kept(name, group.name, kind, group.provider, spec.size, begin, until, taken.get(name)))
    return ledger((), prices, now, end, future).total


def _counts(group: Group, now: datetime, end: datetime) -> list[tuple[datetime, datetime, int]]:
    """How many servers a group's hours want when."""
    if group.hours is None:
        return [(now, end, group.count)]
    if group.hours.never_start_alone:  # nobody knows when a person will
        return [(now, end, group.hours.minimum)]
    spans = table_of(group.hours, now)[0].spans()
    found = [(max(span.begin, now), min(span.end, end), span.count) for span in spans]
    return [(begin, until, count) for begin, until, count in found if begin < until]


def _plan_of(group: Group, lead: float, prices: PriceList, now: datetime) -> Fraction:
    """What a group's hours come to from now on, each opening begun its lead ahead."""
    end = now + LOOKED_AHEAD
    if group.hours is None:
        return group.count * _priced(group, prices, now, end)
    if group.hours.never_start_alone:  # nobody knows when a person will
        return group.hours.minimum * _priced(group, prices, now, end)
    table, _ = table_of(group.hours, now)
    ahead = timedelta(seconds=lead) + group.hours.ready_by
    total = Fraction(0)
    for span in _begun_ahead(table, ahead):
        begin, until = max(span[0], now), min(span[1], end)
        if begin < until:
            total += span[2] * _priced(group, prices, begin, until)
    return total


def _begun_ahead(table: Timetable, ahead: timedelta) -> list[tuple[datetime, datetime, int]]:
    """The stretches of a timetable, each that has more servers than the one before it longer by what it is begun
    ahead."""
    spans = [(span.begin, span.end, span.count) for span in table.spans()]
    for place in range(1, len(spans)):
        (begin, _, less), (edge, end, more) = spans[place - 1], spans[place]
        if more > less:
            cut = max(begin, edge - ahead)
            spans[place - 1], spans[place] = (begin, cut, less), (cut, end, more)
    return spans


def _goal(project: Project, group: Group) -> Goal:
    number = current(project, group.name)
    found = project.journal.generation_number(group.name, number) if number else None
    return Goal(group, found or no_generation(group))
