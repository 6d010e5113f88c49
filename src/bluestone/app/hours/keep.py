"""`keep` and `hours`: exceptions to a group's hours, and what the hours come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from bluestone.app.fleet.goals import current, no_generation
from bluestone.app.fleet.rollout import utc_now
from bluestone.app.hours.cost import ended
from bluestone.app.hours.hours import CHANGED, awake, in_doubt, leads, overrides, table_of
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry
from bluestone.hours.calendar import Timetable
from bluestone.hours.decide import Known, decide
from bluestone.hours.lead import Lead
from bluestone.hours.overrides import KEPT, RELEASED, ending, of_group
from bluestone.model.group import Group
from bluestone.model.hours import Override, Span, Wanted
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem


class GroupHours(Struct, frozen=True):
    """A group's hours from now on: what is wanted now and last was, the stretches to come, the exception in force."""

    group: Group
    wanted: Wanted
    spans: tuple[Span, ...]
    lead: Lead
    override: Override | None
    doubts: tuple[str, ...]


def keep(project: Project, groups: Sequence[str], *, up: bool, until: str, because: str) -> list[Override]:
    """Have groups (all that have hours, if none is named) kept up or down until a time, then as their hours say.

    A time without an offset is on the clock of each group. It needs no lock: whoever leads the project reads it before
    the next step. Raises `Problem` for a group that is
    unknown or has no hours, and for a time that is none.
    """
    found = [with_hours(project, name) for name in groups]
    timed = found or [group for group in project.groups if group.hours]
    if not timed:
        raise Problem("no group has hours, so all are up as it is", mend="add hours to [servers.NAME]")
    now = utc_now()
    by = project.caller.name
    ends = {group.name: ending(until, now, ZoneInfo(group.hours.zone if group.hours else "UTC")) for group in timed}
    if not found and len(set(ends.values())) == 1:
        ends = {"": next(iter(ends.values()))}
    kept = [Override(name, up, now, end, by, because) for name, end in ends.items()]
    project.journal.record(now, [_entry(override) for override in kept])
    return kept


def release(project: Project, groups: Sequence[str]) -> int:
    """End exceptions before their time: of groups, or all; return how many there were."""
    names = [with_hours(project, name).name for name in groups]
    now = utc_now()
    ended = [each for each in overrides(project.journal, now) if not names or each.group in names]
    if ended:
        text = f"released by {project.caller.name}"
        project.journal.record(now, [Entry(RELEASED, name, message=text) for name in names or [""]])
    return len(ended)


def hours(project: Project, groups: Sequence[str], span: timedelta) -> list[GroupHours]:
    """What the hours of groups (all that have some, if none is named) come to, from now for a while.

    It goes on to the end of the last day, on the clock of each.
    """
    wanted_names = [with_hours(project, name).name for name in groups]
    timed = [group for group in project.groups if group.hours]
    now = utc_now()
    goals = [_goal(project, group) for group in project.groups]
    tables = {group.name: table_of(group.hours, now) for group in timed if group.hours}
    learned = leads(project.journal, goals)
    in_force = overrides(project.journal, now)
    known = Known(
        tables={name: table for name, (table, _) in tables.items()},
        leads={name: lead.seconds for name, lead in learned.items()},
        doubts={name: in_doubt(doubts, now) for name, (_, doubts) in tables.items()},
        overrides=in_force,
        awake=awake(project.journal, timed),
        stopped=ended(project, now),
    )
    decided = {wanted.group: wanted for wanted in decide(project.groups, known, now)}
    return [
        GroupHours(
            group,
            decided[group.name],
            tuple(_by_themselves(group, tables[group.name][0], now, _end_of_day(group, now + span))),
            learned[group.name],
            of_group(in_force, group.name)[0],
            tuple(doubt.what for doubt in tables[group.name][1]),
        )
        for group in timed
        if not wanted_names or group.name in wanted_names
    ]


def history(project: Project, newest: int) -> list[tuple[datetime, str, str]]:
    """The newest changes of what hours want and the exceptions to them: when, which group, what; newest first."""
    kinds = (CHANGED, KEPT, RELEASED, "hours.met", "hours.missed", "hours.woken", "hours.slept")
    return [
        (e.at, e.group, f"{e.kind.partition('.')[2]}: {e.message}")
        for e in project.journal.select(kinds, newest=newest)
    ]


def with_hours(project: Project, name: str) -> Group:
    """The declared group of that name. Raises `Problem` if there is none, or it has no hours."""
    groups = {group.name: group for group in project.groups}
    if name not in groups:
        raise Problem(f'no group is called "{name}"', mend=f"choices: {', '.join(groups)}")
    if groups[name].hours is None:
        raise Problem(f"{name} has no hours: it is always up", mend=f"add hours to [servers.{name}]")
    return groups[name]


def _goal(project: Project, group: Group) -> Goal:
    number = current(project, group.name)
    found = project.journal.generation_number(group.name, number) if number else None
    return Goal(group, found or no_generation(group))


def _end_of_day(group: Group, at: datetime) -> datetime:
    zone = ZoneInfo(group.hours.zone if group.hours else "UTC")
    day = (at - timedelta(microseconds=1)).astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _by_themselves(group: Group, table: Timetable, begin: datetime, end: datetime) -> list[Span]:
    """The stretches to come as the clock has them: of a group that only a person starts, with whoever never sleeps."""
    if group.hours and group.hours.never_start_alone:
        return [Span(begin, end, group.hours.minimum)]
    return _between(table.spans(), begin, end)


def _between(spans: Sequence[Span], begin: datetime, end: datetime) -> list[Span]:
    found = [span for span in spans if span.begin < end and span.end > begin]
    return [Span(max(span.begin, begin), min(span.end, end), span.count) for span in found]


def _entry(override: Override) -> Entry:
    data = {
        "way": "up" if override.up else "down",
        "until": override.until.isoformat(),
        "by": override.by,
        "because": override.because,
    }
    return Entry(KEPT, override.group, message=str(override), data=data)
