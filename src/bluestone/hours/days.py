"""Which days are holidays: public ones by country and region, and those of calendars (ICS)."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from bluestone.model.hours import Hours
from bluestone.model.openings import speaks_of_holidays

MAX_CALENDAR = 4 << 20
"""Bytes of a calendar file."""

MOST_EVENTS = 20_000
"""Events of a calendar file, over the years that are asked for."""


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


def _whole_days(event: object) -> set[date]:
    """The days of an all-day event; none for one that has times, or that was cancelled."""
    get = event.get  # type: ignore[attr-defined]
    begin, end = event.start, event.end  # type: ignore[attr-defined]
    if isinstance(begin, datetime) or str(get("STATUS", "")).upper() == "CANCELLED":
        return set()
    length = max(1, (end - begin).days)
    return {date.fromordinal(begin.toordinal() + n) for n in range(min(length, 3700))}
