"""How many servers of each group shall be up now, and why: hours, leads, order and overrides together. Pure.

In doubt servers stay up, and it is said: where a calendar cannot be read, where two overrides disagree, and where the
clock has been set back behind what is in the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from bluestone.hours.calendar import Timetable
from bluestone.hours.overrides import of_group
from bluestone.model.group import Group
from bluestone.model.hours import Override, Wanted

SHORTLY = timedelta(seconds=5)
"""Time between two looks where it is not reckoned when exactly something follows."""

CLOCK_SLACK = timedelta(minutes=1)
"""How far the clock may be behind the newest entry of the journal: several machines may write it."""


class Standing(Struct, frozen=True):
    """How many servers of a group exist, and how many serve."""

    total: int = 0
    serving: int = 0


class Known(Struct, frozen=True):
    """What the decision rests on besides the declaration.

    By group: `tables` are the timetables of those that have hours, `leads` the seconds that their servers are begun
    ahead, `doubts` what is not known of their hours, `standings` what there is now, `awake` since when a request has
    kept a group awake, `stopped` why one is ended though its hours may want it. `newest` is the
    journal's newest instant.
    """

    tables: Mapping[str, Timetable]
    leads: Mapping[str, float] = field(default_factory=dict)
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    overrides: Sequence[Override] = ()
    standings: Mapping[str, Standing] = field(default_factory=dict)
    awake: Mapping[str, datetime] = field(default_factory=dict)
    stopped: Mapping[str, str] = field(default_factory=dict)
    newest: datetime | None = None


def decide(groups: Sequence[Group], known: Known, now: datetime) -> list[Wanted]:
    """How many servers of each group shall be up now, in the order given."""
    by_name = {group.name: group for group in groups}
    after: dict[str, list[Group]] = {}
    for group in groups:
        for first in group.hours.after if group.hours else ():
            after.setdefault(first, []).append(group)
    found = {group.name: _needed(group, after, known, now) for group in groups}
    found = {name: _not_before(wanted, by_name[name], found, known) for name, wanted in found.items()}
    found = {name: _not_after(wanted, by_name[name], after, known) for name, wanted in found.items()}
    decided = [(group, _by_a_clock_set_back(found[group.name], group, known, now)) for group in groups]
    return [replace(wanted, lessened=wanted.count < group.count) for group, wanted in decided]


def next_look(groups: Sequence[Group], known: Known, now: datetime) -> datetime | None:
    """When something else may be wanted than now, at the earliest; None if that is not known to come."""
    at = now.timestamp()
    moments = [override.until for override in known.overrides]
    for group in groups:
        table = known.tables.get(group.name)
        if group.hours is None or table is None:
            continue
        # It is begun its own lead ahead of an opening, and those of all who come after it.
        ahead = group.hours.ready_by.total_seconds() + sum(known.leads.values())
        change = table.next_change(at)
        while change is not None and change <= at + ahead:
            moments.append(datetime.fromtimestamp(change, UTC))
            # Between the first and the last lead before an opening it is looked at all the time.
            moments.append(now + SHORTLY)
            change = table.next_change(change)
        if change is not None:
            moments.append(datetime.fromtimestamp(change - ahead, UTC))
    return min((moment for moment in moments if moment > now), default=None)


def _needed(group: Group, after: Mapping[str, Sequence[Group]], known: Known, now: datetime) -> Wanted:
    """What a group's own hours want, and those of the groups that come after it, its lead earlier."""
    own = _own(group, known, now)
    ahead = now + timedelta(seconds=known.leads.get(group.name, 0.0))
    for other in after.get(group.name, ()):
        if group.hours and own.count < group.count:
            its = _needed(other, after, known, ahead)
            if its.count:
                return replace(own, count=group.count, why=f"{other.name} needs it: {its.why}", opening=its.opening)
    return own


def _own(group: Group, known: Known, now: datetime) -> Wanted:
    hours, name = group.hours, group.name
    if hours is None:
        return Wanted(name, group.count, "it has no hours")
    doubts = known.doubts.get(name, ())
    if why := known.stopped.get(name):
        return Wanted(name, 0, why)
    override, conflict = of_group(known.overrides, name)
    if override and now < override.until:
        doubts = (*doubts, conflict) if conflict else doubts
        if override.up:
            return Wanted(name, group.count, str(override), doubts=doubts)
        return Wanted(name, min(hours.minimum, group.count), str(override), doubts=doubts)
    if doubts:
        return Wanted(name, group.count, f"it stays up, as {doubts[0]}", doubts=doubts)
    if since := known.awake.get(name):
        return Wanted(name, group.count, f"a request woke it at {since:%H:%M:%S} UTC")
    if hours.never_start_alone:
        return Wanted(name, hours.minimum, "only a person starts it: `bluestone keep up`")
    return _by_the_clock(group, known, now)


def _by_the_clock(group: Group, known: Known, now: datetime) -> Wanted:
    hours, name, table = group.hours, group.name, known.tables.get(group.name)
    assert hours is not None
    at = now.timestamp()
    ahead = hours.ready_by.total_seconds() + known.leads.get(name, 0.0)
    try:
        if table is None:
            raise LookupError
        open_now = table.count_at(at)
    except LookupError:
        doubt = "its hours are not known for this time"
        return Wanted(name, group.count, f"it stays up, as {doubt}", doubts=(doubt,))
    most = min(group.count, table.most_between(at, at + ahead + 1e-6))
    change = table.next_change(at)
    until = f" until {_shown(change)}" if change else ""
    if most > open_now:
        opening = next(when for when, count in table.openings(at, at + ahead + 1e-6) if count >= most)
        why = f"it opens at {_shown(opening)}, and {known.leads.get(name, 0.0):.0f} s are allowed for its start"
        return Wanted(name, most, why, datetime.fromtimestamp(opening, UTC))
    if most > hours.minimum:
        return Wanted(name, most, f"it is open{until}")
    return Wanted(name, most, f"it is closed{until}")


def _not_before(wanted: Wanted, group: Group, all_: Mapping[str, Wanted], known: Known) -> Wanted:
    """A group that sleeps waits until those that it comes after serve."""
    if not (group.hours and wanted.count) or known.standings.get(group.name, Standing()).total:
        return wanted
    for first in group.hours.after:
        if first in all_ and known.standings.get(first, Standing()).serving < max(1, all_[first].count):
            return replace(wanted, count=0, why=f"it waits for {first} to serve; {wanted.why}")
    return wanted


def _not_after(wanted: Wanted, group: Group, after: Mapping[str, Sequence[Group]], known: Known) -> Wanted:
    """A group stays as long as there are servers of one that comes after it."""
    total = known.standings.get(group.name, Standing()).total
    if not group.hours or wanted.count >= min(total, group.count):
        return wanted
    for other in after.get(group.name, ()):
        if known.standings.get(other.name, Standing()).total:
            return replace(wanted, count=min(total, group.count), why=f"it goes after {other.name}")
    return wanted


def _by_a_clock_set_back(wanted: Wanted, group: Group, known: Known, now: datetime) -> Wanted:
    if known.newest is None or now >= known.newest - CLOCK_SLACK or group.hours is None:
        return wanted
    total = min(known.standings.get(group.name, Standing()).total, group.count)
    if wanted.count >= total:
        return wanted
    doubt = f"the clock is behind the journal, which goes on to {known.newest:%d %b %H:%M:%S} UTC"
    return replace(wanted, count=total, why=f"it stays up, as {doubt}", doubts=(*wanted.doubts, doubt))


def _shown(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%a %d %b %H:%M} UTC"
