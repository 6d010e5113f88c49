"""Opening hours, zones, countries. Each reader returns the text as the model wants it, or raises `Fault`."""

from __future__ import annotations

from datetime import timedelta

from bluestone.declaration import quantities
from bluestone.declaration.fault import Fault, quoted
from bluestone.declaration.texts.matching import matching

COUNTRY = "^[A-Z]{2}$"
REGION = "^[A-Z0-9-]{1,6}$"
CALENDAR = r"^.+\.ics$"
LEAD = f"{quantities.DURATION}|^auto$"
"""As given to an editor."""
MAX_HOURS = 1000
"""Longest text of opening hours, in characters."""

_LASTING = quantities.duration_between("1s", "4h")


def opening_hours(text: str) -> str:
    """Rules of opening hours."""
    if len(text) > MAX_HOURS:
        raise Fault(f"{quoted(text)} is longer than {MAX_HOURS} characters", "put single days into a calendar (ICS)")
    # Imported here, as few declarations have them.
    from bluestone.model import openings

    try:
        openings.check(text)
    except openings.Misread as error:
        raise Fault(f"{quoted(text)}: {error.what}", error.mend) from error
    return text


def lead(text: str) -> timedelta | None:
    """How long before an opening servers are begun; None to learn that."""
    return None if text == "auto" else _LASTING(text)


def zone(text: str) -> str:
    """An IANA time zone."""
    from difflib import get_close_matches
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        close = get_close_matches(text, available_timezones(), 1)
        guess = f'did you mean "{close[0]}"?' if close else 'write one such as "Europe/Berlin", or "UTC"'
        raise Fault(f"{quoted(text)} is no time zone that is known here", guess) from error
    return text


def country(text: str) -> str:
    """A country whose holidays are known."""
    from holidays.utils import list_supported_countries

    if text not in list_supported_countries(include_aliases=False):
        raise Fault(
            f"the holidays of the country {quoted(text)} are not known",
            'write its code by ISO 3166, such as "DE"; or put its holidays into a calendar (ICS)',
        )
    return text


def region(text: str) -> str:
    """The code of a part of a country."""
    return matching(REGION, text, "the code of a region", 'write it by ISO 3166-2, such as "BW", without the country')


def calendar(text: str) -> str:
    """The path of an ICS file."""
    return matching(CALENDAR, text, "the path of an ICS file", 'write a path that ends in ".ics"')
