"""Which days are holidays: public ones by country and region, and those of calendars (ICS)."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from math import inf, prod
from pathlib import Path

from msgspec import Struct

from bluestone.model.hours import Hours
from bluestone.model.openings import speaks_of_holidays

MAX_CALENDAR = 4 << 20
"""Bytes of a calendar file."""

MOST_EVENTS = 20_000
"""Events of a calendar file, over the years that are asked for."""

MOST_REPEATED = 200_000
"""Events that rules of a calendar file may come to in these years, as far as is known before they are followed."""

TIMES_A_YEAR = {"YEARLY": 1.0, "MONTHLY": 12.0, "WEEKLY": 53.0, "DAILY": 366.0}


class Doubt(Struct, frozen=True):
    """Something that is not known of holidays, and the day from which on it matters."""

    what: str
    since: date = date.min


class Holidays(Struct, frozen=True):
    """Days that are holidays, and what is not known of them."""

    days: frozenset[date] = frozenset()
    doubts: tuple[Doubt, ...] = ()


def holidays_of(hours: Hours, years: range) -> Holidays:
    """The holidays that a group's hours speak of, in these years. What cannot be read is a doubt, and no error."""
    if not any(speaks_of_holidays(period.when) for period in hours.periods):
        return Holidays()
    found = [_public(hours.country, hours.region, years)] if hours.country else []
    found += [_of_calendar(Path(path), years) for path in hours.calendars]
    days = frozenset(day for each in found for day in each.days)
    return Holidays(days, tuple(doubt for each in found for doubt in each.doubts))


@lru_cache(maxsize=256)
def _public(country: str, region: str, years: range) -> Holidays:
    # Imported here: it takes a tenth of a second, and few commands need it.
    import holidays

    days: set[date] = set()
    unknown: list[int] = []
    try:
        for year in years:
            found = holidays.country_holidays(country, subdiv=region or None, years=year, expand=False)
            days |= set(found)
            if not found:
                unknown.append(year)
    except NotImplementedError:
        return Holidays(doubts=(Doubt(f"the holidays of {country} {region} are not known".rstrip()),))
    if not unknown:
        return Holidays(frozenset(days))
    span = f"{unknown[0]} to {unknown[-1]}" if len(unknown) > 1 else f"{unknown[0]}"
    doubt = Doubt(f"the holidays of {country} in {span} are not known", date(unknown[0], 1, 1))
    return Holidays(frozenset(days), (doubt,))


def _of_calendar(path: Path, years: range) -> Holidays:
    try:
        state = path.stat()
    except OSError as error:
        return Holidays(doubts=(Doubt(f"the calendar {path} cannot be read: {error.strerror}"),))
    return _read(path, state.st_mtime_ns, state.st_size, years)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int, size: int, years: range) -> Holidays:  # noqa: ARG001 - `changed` renews it
    import icalendar
    import recurring_ical_events

    if size > MAX_CALENDAR:
        return Holidays(doubts=(Doubt(f"the calendar {path} is larger than {MAX_CALENDAR} bytes"),))
    try:
        calendar = icalendar.Calendar.from_ical(path.read_bytes())
        if sum(_most(event) for event in calendar.walk("VEVENT")) * len(years) > MOST_REPEATED:
            return Holidays(doubts=(Doubt(f"the events of the calendar {path} repeat too often"),))
        query = recurring_ical_events.of(calendar)
        days: set[date] = set()
        for number, event in enumerate(query.between(date(years[0], 1, 1), date(years[-1] + 1, 1, 1))):
            if number >= MOST_EVENTS:
                return Holidays(frozenset(days), (Doubt(f"the calendar {path} has more than {MOST_EVENTS} events"),))
            days |= _whole_days(event)
    except Exception as error:  # noqa: BLE001 - whatever a file from elsewhere does to two libraries
        first = (str(error).splitlines() or [type(error).__name__])[0][:120]
        return Holidays(doubts=(Doubt(f"the calendar {path} cannot be read: {first}"),))
    return Holidays(frozenset(days))


def _most(event: object) -> float:
    """How often a year an event may be by its rules; infinity for what may be oftener than daily."""
    rules = event.get("RRULE", [])  # type: ignore[attr-defined]
    most = 0.0
    for rule in rules if isinstance(rules, list) else [rules]:
        times = TIMES_A_YEAR.get(str(rule.get("FREQ", [""])[0]).upper(), inf)
        if {"BYHOUR", "BYMINUTE", "BYSECOND"} & rule.keys():
            times = inf
        named = prod(len(rule[key]) for key in rule if key.startswith("BY"))
        weekly = TIMES_A_YEAR["WEEKLY"] if "BYDAY" in rule else 1  # it may name a weekday, and mean each of the year's
        most += times if times in (inf, TIMES_A_YEAR["DAILY"]) else min(times * named * weekly, TIMES_A_YEAR["DAILY"])
    return most


def _whole_days(event: object) -> set[date]:
    """The days of an all-day event; none for one that has times, or that was cancelled."""
    get = event.get  # type: ignore[attr-defined]
    begin, end = event.start, event.end  # type: ignore[attr-defined]
    if isinstance(begin, datetime) or str(get("STATUS", "")).upper() == "CANCELLED":
        return set()
    length = max(1, (end - begin).days)
    return {date.fromordinal(begin.toordinal() + n) for n in range(min(length, 3700))}
