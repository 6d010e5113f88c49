"""Opening hours as rules: OpenStreetMap's syntax, read by `opening-hours-py`, on a wall clock without a time zone.

`PH` is ours, as the library knows the holidays of countries, but neither those of regions nor a company's own: on a
holiday, `PH` in a rule is written as that day's weekday before the rule is read. Windows that go on over midnight are
read by a later clock, see `_overrun`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opening_hours import OpeningHours

DAY = timedelta(days=1)
WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")

_QUOTED_OR_HOLIDAY = re.compile(r'("[^"]*")|\bPH\b')
_SPAN = re.compile(r"(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})")
_CLOSED = re.compile(r"\b(off|closed)\b|^\s*$")
_SUN = re.compile(r"\b(sunrise|sunset|dawn|dusk)\b")
_OFFSET_HOLIDAY = re.compile(r"\bPH\s*[+-]")


class Misread(ValueError):
    """Opening hours that cannot be taken: what is wrong, and how to mend it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


def windows(when: str, days: Collection[date], first: date, last: date) -> Iterator[tuple[datetime, datetime]]:
    """The stretches of wall-clock time that begin from `first` until before `last`, in which rules do not say closed.

    `days` are those that are holidays. A window belongs to the day on which it begins, also where it goes on over
    midnight: what holds on the next day does not cut it off.
    """
    over = _overrun(when)
    found: tuple[datetime, datetime] | None = None
    for begin, end, holiday in _stretches(days, first, last):
        for opens, closes, state, _ in _rules(when, holiday).intervals(begin, end):
            if str(state) == "closed":
                continue
            if found and found[1] == opens:
                found = (found[0], closes)
            else:
                if found:
                    yield found[0] + over, found[1] + over
                found = (opens, closes)
    if found:
        yield found[0] + over, found[1] + over


def check(when: str) -> None:
    """Raise `Misread` for rules that cannot be read, or that mean something which is not known here."""
    if sun := _SUN.search(when):
        raise Misread(f"it is not known where the sun has its {sun[0]}", "write times of the clock, such as 07:00")
    if re.search(r"\bSH\b", _unquoted(when)):
        raise Misread("school holidays (SH) are not known", "put those days into a calendar of the company's, as PH")
    if _OFFSET_HOLIDAY.search(_unquoted(when)):
        raise Misread("days before or after a holiday are not known", "put those days into a calendar, as PH")
    _overrun(when)
    _rules(when, None)
    if speaks_of_holidays(when):
        try:
            _rules(when, 0)
        except Misread as error:
            raise Misread("PH stands beside other days without a comma", 'write "PH,Su off"') from error


def speaks_of_holidays(when: str) -> bool:
    """Whether any rule does."""
    return re.search(r"\bPH\b", _unquoted(when)) is not None


def _unquoted(when: str) -> str:
    return re.sub(r'"[^"]*"', '""', when)


def _stretches(days: Collection[date], first: date, last: date) -> Iterator[tuple[datetime, datetime, int | None]]:
    """The time from `first` to `last`, cut where holidays begin and end, with the weekday of each that is one."""
    at = first
    for day in sorted(day for day in days if first <= day < last):
        if at < day:
            yield _midnight(at), _midnight(day), None
        yield _midnight(day), _midnight(day + DAY), day.weekday()
        at = day + DAY
    if at < last:
        yield _midnight(at), _midnight(last), None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


@lru_cache(maxsize=1024)
def _overrun(when: str) -> timedelta:
    """How long after midnight the last window of a day ends. Raises `Misread` where another begins before that.

    The library would have a rule for the next day cut such windows off, and one for the day itself not: so they are
    read on a clock whose day begins by so much later.
    """
    plain = _unquoted(when)
    spans = [(_minutes(found[1]), _minutes(found[2])) for found in _SPAN.finditer(plain)]
    over = max((end - 1440 if end > 1440 else end for begin, end in spans if end > 1440 or end <= begin), default=0)
    if not over:
        return timedelta(0)
    early = [begin for begin, _ in spans if begin < over]
    whole = [rule for rule in re.split(r";|\|\|", plain) if not _SPAN.search(rule) and not _CLOSED.search(rule)]
    if early or whole:
        until = f"{over // 60:02}:{over % 60:02}"
        raise Misread(
            f"hours that go on over midnight, until {until}, stand beside others that begin earlier",
            "put one of them into periods",
        )
    return timedelta(minutes=over)


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _earlier(when: str, over: timedelta) -> str:
    """The same hours on a clock that is behind."""
    less = int(over.total_seconds()) // 60

    def shifted(found: re.Match[str]) -> str:
        if found["quoted"]:
            return found[0]
        begin, end = _minutes(found[2]) - less, _minutes(found[3]) - less
        end += 1440 if end <= begin else 0
        return f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"

    return re.sub(rf'(?P<quoted>"[^"]*")|{_SPAN.pattern}', shifted, when) if less else when


@lru_cache(maxsize=4096)
def _rules(when: str, holiday: int | None) -> OpeningHours:
    """The rules on a holiday of this weekday; for none, `PH` is no day at all."""
    # Imported here, as it is a large library that only hours need.
    from opening_hours import OpeningHours

    text = _earlier(when, _overrun(when))
    if holiday is not None:
        text = _QUOTED_OR_HOLIDAY.sub(lambda found: found[1] or WEEKDAYS[holiday], text)
    try:
        return OpeningHours(text)
    except Exception as error:
        # The library's own kind of error is none that it lets be named.
        if type(error).__name__ not in ("ParserError", "SyntaxError", "ValueError"):
            raise
        column = re.search(r"-->\s*\d+:(\d+)", str(error))
        where = f' from "{text[int(column[1]) - 1 :][:20]}" on' if column and holiday is None else ""
        mend = 'write them like "Mo-Fr 08:00-18:00; PH off"'
        raise Misread(f"these opening hours cannot be read{where}", mend) from error
