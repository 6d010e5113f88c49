"""Days, moments, hours of the week and time zones as people write them.

Each reader takes what stood in the file and returns the model's value, or raises `Fault`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bluestone.declaration.fault import Fault, quoted
from bluestone.model.patching import Window

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY = f"({'|'.join(DAYS)})"
_HOUR = r"([01][0-9]|2[0-3]):[0-5][0-9]"
WINDOW = rf"^({_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)* )?{_HOUR}-({_HOUR}|24:00)$"
"""Days, then from when to when: `Mo-Fr 08:00-16:00`, as in OpenStreetMap's opening hours."""

MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?$"
"""A day, or a moment of it."""


def window(text: str) -> Window:
    """`Mo-Fr 08:00-16:00`; without days every day. One that ends at or before its begin ends on the day after."""
    if not re.fullmatch(WINDOW, text):
        raise Fault(f"{quoted(text)} is not a window", 'write days and hours, such as "Mo-Fr 08:00-16:00"')
    days, _, hours = text.rpartition(" ")
    begin, _, end = hours.partition("-")
    last = "00:00" if end == "24:00" else end
    return Window(_days(days), time.fromisoformat(begin), time.fromisoformat(last))


def moment(value: object) -> date:
    """A day (`2026-12-31`), or a moment (`2026-12-31 18:00`, a `datetime`), as text or as TOML has them."""
    if isinstance(value, date):
        return value
    if isinstance(value, str) and re.fullmatch(MOMENT, value):
        try:
            return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            pass
    raise Fault(f"{quoted(value)} is not a day", 'write "2026-12-31", or with an hour "2026-12-31 18:00"')


def begin_of(day: date, zone: tzinfo) -> datetime:
    """The moment; the first of a day."""
    if isinstance(day, datetime):
        return day if day.tzinfo else day.replace(tzinfo=zone)
    return datetime.combine(day, time(), zone)


def end_of(day: date, zone: tzinfo) -> datetime:
    """The moment; the first after a day."""
    return begin_of(day, zone) if isinstance(day, datetime) else begin_of(day + timedelta(days=1), zone)


def time_zone(text: str) -> str:
    """The name of a time zone that this machine knows."""
    try:
        zone(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        mend = 'write its IANA name, such as "Europe/Amsterdam" (the package tzdata has them), or "UTC"'
        raise Fault(f"{quoted(text)} is not a time zone that this machine knows", mend) from None
    return text


def zone(name: str) -> tzinfo:
    """The time zone of a name. Raises `ZoneInfoNotFoundError`."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + (1 if end >= begin else 8))}
    return tuple(sorted(found or range(7)))
