"""Finds what is impossible in the hours of groups: never or always open, two counts at once, circles of `after`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from bluestone.declaration.convert import place_of
from bluestone.declaration.fault import Fault, Finding, KeyPath, quoted
from bluestone.declaration.keys import GroupTable, HoursTable

YEARS = 3
"""How far ahead hours are tried out."""


def check_hours(groups: Mapping[str, GroupTable], directory: Path) -> Iterator[Finding]:
    """Everything that is wrong with the hours of these groups."""
    for name, group in groups.items():
        if group.hours is None:
            continue
        at: KeyPath = ("servers", name, "hours")
        yield from _counts(group.hours, group.count, at)
        yield from _openings(group.hours, group.count, at)
        yield from _holidays(group.hours, directory, at)
        yield from _order(name, groups, at)
        yield from _waking(group, group.hours, at)


def _counts(hours: HoursTable, count: int, at: KeyPath) -> Iterator[Finding]:
    above = (*at[:-1], "count")
    if hours.minimum >= count:
        fault = Fault(
            f"as many servers never sleep ({hours.minimum}) as there are ({count})", "choose a smaller minimum"
        )
        yield Finding((*at, "minimum"), fault, (above,))
    for when, number in hours.periods.items():
        if number > count:
            fault = Fault(f"{number} servers are more than count, which is {count}", "raise count, or want fewer")
            yield Finding((*at, "periods", when), fault, (above,))


def _openings(hours: HoursTable, count: int, at: KeyPath) -> Iterator[Finding]:
    from bluestone.model.openings import windows

    today = datetime.now(UTC).date()
    first, last = today, date(today.year + YEARS, 1, 1)
    everything = {"open": hours.open, **{when: when for when in hours.periods}}
    found = {}
    for key, when in everything.items():
        path = (*at, key) if key == "open" else (*at, "periods", when)
        # A holiday in every week: rules for `PH` alone would never open without any.
        days = frozenset({date(year, 1, 1) for year in range(first.year, last.year + 1)})
        found[when] = list(windows(when, days, first, last))
        if not found[when]:
            yield Finding(path, Fault(f"{quoted(when)} never opens from today until {last.year}", "correct the times"))
    if found[hours.open] and _always(found[hours.open], first, last) and not hours.periods:
        fault = Fault(f"{quoted(hours.open)} is always open", "leave hours out: without them servers are always up")
        yield Finding((*at, "open"), fault)
    numbers = {hours.open: count, **hours.periods}
    whens = list(numbers)
    for index, later in enumerate(whens):
        for earlier in whens[:index]:
            if numbers[earlier] != numbers[later] and (both := _overlap(found[earlier], found[later])):
                fault = Fault(
                    f"at {both:%a %d %b %Y %H:%M} both {numbers[earlier]} and {numbers[later]} servers would be wanted",
                    "let these periods not overlap; a plain minimum is what `minimum` is for",
                )
                yield Finding((*at, "periods", later), fault, ((*at, "open"),))


def _always(windows: list[tuple[datetime, datetime]], first: date, last: date) -> bool:
    begin, end = windows[0]
    return len(windows) == 1 and begin.date() <= first and end.date() >= last


def _overlap(some: list[tuple[datetime, datetime]], others: list[tuple[datetime, datetime]]) -> datetime | None:
    """The first moment that two lists of windows, each in order, have in common."""
    i = j = 0
    while i < len(some) and j < len(others):
        begin, end = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if begin < end:
            return begin
        if some[i][1] <= others[j][1]:
            i += 1
        else:
            j += 1
    return None


def _holidays(hours: HoursTable, directory: Path, at: KeyPath) -> Iterator[Finding]:
    from bluestone.model.openings import speaks_of_holidays

    spoken = any(speaks_of_holidays(when) for when in (hours.open, *hours.periods))
    known = hours.country or hours.calendars
    rests_on = ((*at, "country"), (*at, "calendars"), (*at, "open"))
    if spoken and not known:
        fault = Fault(
            "the hours speak of holidays (PH), and nothing says whose", 'add country, such as "DE", or calendars'
        )
        yield Finding((*at, "open"), fault, rests_on)
    if known and not spoken:
        key = "country" if hours.country else "calendars"
        fault = Fault("no rule speaks of holidays (PH), so they would change nothing", 'add "; PH off" to open')
        yield Finding((*at, key), fault, rests_on)
    if hours.region is not None:
        yield from _region(hours, at)
    for index, path in enumerate(hours.calendars):
        place = place_of(path, directory)
        if not place.is_file():
            yield Finding((*at, "calendars", index), Fault(f"there is no file {place}", "make it, or correct the path"))


def _region(hours: HoursTable, at: KeyPath) -> Iterator[Finding]:
    if hours.country is None:
        fault = Fault("a region is part of a country, and none is named", 'add country, such as "DE"')
        yield Finding((*at, "region"), fault, ((*at, "country"),))
        return
    from holidays.utils import list_supported_countries

    regions = list_supported_countries(include_aliases=False)[hours.country]
    if hours.region not in regions:
        choices = (
            f"choices: {', '.join(regions)}" if regions else f"leave it out: {hours.country} has none that is known"
        )
        fault = Fault(f"{quoted(hours.region)} is no region of {hours.country} whose holidays are known", choices)
        yield Finding((*at, "region"), fault, ((*at, "country"),))


def _order(name: str, groups: Mapping[str, GroupTable], at: KeyPath) -> Iterator[Finding]:
    hours = groups[name].hours
    assert hours is not None
    for index, other in enumerate(hours.after):
        here: KeyPath = (*at, "after", index)
        if other not in groups:
            yield Finding(here, Fault(f"no group is called {quoted(other)}", f"choices: {', '.join(groups)}"))
        elif name in _before(other, groups):
            yield Finding(here, Fault(f"{name} and {other} would wait for each other", "leave one of them out"))
        elif (first := groups[other].hours) and first.never_start_alone and not hours.never_start_alone:
            fault = Fault(
                f"{name} starts by the clock, and only a person may start {other}, which it comes after",
                f"let never_start_alone be true for {name} too, or not for {other}",
            )
            yield Finding(here, fault, (("servers", other, "hours"),))


def _before(name: str, groups: Mapping[str, GroupTable]) -> set[str]:
    """The group itself, and all that must serve before it."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        each = ahead.pop()
        if each not in found and each in groups:
            found.add(each)
            ahead += hours.after if (hours := groups[each].hours) else []
    return found


def _waking(group: GroupTable, hours: HoursTable, at: KeyPath) -> Iterator[Finding]:
    if hours.on_request is None:
        return
    here = (*at, "on_request")
    if not group.ports:
        fault = Fault("no request can come to a group without ports", "add ports, or leave on_request out")
        yield Finding(here, fault, ((*at[:-1], "ports"),))
    elif hours.on_request == "page" and any(port.mode == "tcp" for port in group.ports):
        fault = Fault("a connection over a tcp port gets no page", 'write on_request = "hold"')
        yield Finding(here, fault, ((*at[:-1], "ports"),))
    if hours.never_start_alone:
        fault = Fault("a request would start it, and only a person may", "leave out one of the two")
        yield Finding(here, fault, ((*at, "never_start_alone"),))
