"""Exceptions to a group's hours that end by themselves: what of them is in force. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bluestone.model.event import Event
from bluestone.model.hours import Override
from bluestone.model.problem import Problem

KEPT, RELEASED = "hours.kept", "hours.released"
"""Events that begin an override, and that end those of a group before their time."""

LONGEST = timedelta(days=31)


def in_force(events: Iterable[Event], now: datetime) -> list[Override]:
    """The overrides that events (oldest first) leave in force: of each group, and of all together, the newest."""
    newest: dict[str, Override] = {}
    for event in events:
        if event.kind == RELEASED:
            newest = {} if not event.group else {k: o for k, o in newest.items() if k != event.group}
        elif event.kind == KEPT:
            until = datetime.fromisoformat(event.data["until"])
            by, because = str(event.data.get("by", "")), str(event.data.get("because", ""))
            newest[event.group] = Override(event.group, event.data["way"] == "up", event.at, until, by, because)
    return [override for override in newest.values() if now < override.until]


def of_group(overrides: Iterable[Override], group: str) -> tuple[Override | None, str]:
    """The override that holds for a group, and what is doubtful about it: where two disagree, servers stay up."""
    found = [override for override in overrides if override.group in ("", group)]
    ups = [override for override in found if override.up]
    if ups and len(ups) < len(found):
        down = next(override for override in found if not override.up)
        return ups[0], f"it is {ups[0]}, and {down}: it stays up"
    return (found[0], "") if found else (None, "")


def ending(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """When an override ends: `22:00` (when a zone's clock shows it next), `2026-12-24T18:00`, or `90m` from now.

    Raises `Problem` for what is none of these, is over, or is more than `LONGEST` ahead.
    """
    found = _length(text, now) or _of_clock(text, now, zone) or _moment(text, zone)
    if found is None:
        raise Problem(f'"{text}" is no time at which it could end', mend="write 22:00, 2026-12-24T18:00, or 90m")
    if found <= now:
        raise Problem(f"{text} is over", mend="name a time to come")
    if found > now + LONGEST:
        raise Problem(
            f"{text} is more than {LONGEST.days} days ahead", mend="change the hours in the declaration instead"
        )
    return found


def _length(text: str, now: datetime) -> datetime | None:
    units = {"m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    return (
        now + timedelta(seconds=int(number) * units[unit])
        if number.isdecimal() and len(number) < 6 and unit in units
        else None
    )


def _of_clock(text: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    try:
        clock = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - the zone follows
    except ValueError:
        return None
    here = now.astimezone(zone)
    for days in (0, 1, 2):
        day = here.date() + timedelta(days=days)
        # The later one where the clock shows it twice: in doubt servers stay as a person wants them.
        found = datetime.combine(day, clock, zone).replace(fold=1).astimezone(now.tzinfo)
        if found > now:
            return found
    return None


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = found if found.tzinfo else found.replace(tzinfo=zone, fold=1)
    return aware.astimezone(ZoneInfo("UTC"))
