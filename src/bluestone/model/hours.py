"""When a group is up, as declared, and as it follows at an instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

OnRequest = Literal["page", "hold"]
"""What a request gets that comes while its group sleeps, and wakes it: a page to try again, or to wait."""


class Period(Struct, frozen=True):
    """Times, in OpenStreetMap's opening-hours syntax, and how many servers are wanted then."""

    when: str
    count: int


class Hours(Struct, frozen=True):
    """`[servers.NAME.hours]`: when a group is up.

    `periods` say how many servers are wanted when, on the clock of `zone` (an IANA name); at all other times it is
    `minimum`. `PH` in them are the public holidays of `country` and `region` (ISO 3166 codes, empty for none) and the
    days of `calendars` (ICS files). Servers are ready `ready_by` before each opening, begun `lead` before that (None:
    as learned), after the groups named in `after`. With `never_start_alone` only a person starts them. With
    `on_request` a request does too, and they sleep again once none came for `idle`.
    """

    periods: tuple[Period, ...]
    zone: str = "UTC"
    country: str = ""
    region: str = ""
    calendars: tuple[str, ...] = ()
    ready_by: timedelta = timedelta(0)
    lead: timedelta | None = None
    after: tuple[str, ...] = ()
    minimum: int = 0
    never_start_alone: bool = False
    on_request: OnRequest | None = None
    idle: timedelta = timedelta(minutes=15)


class Span(Struct, frozen=True):
    """A stretch of time, in UTC, in which `count` servers are wanted."""

    begin: datetime
    end: datetime
    count: int


class Override(Struct, frozen=True):
    """A person's exception to a group's hours (to those of all, if `group` is empty), which ends by itself."""

    group: str
    up: bool
    since: datetime
    until: datetime
    by: str
    because: str = ""

    def __str__(self) -> str:
        way, why = "up" if self.up else "down", f": {self.because}" if self.because else ""
        return f"kept {way} by {self.by} until {self.until:%a %d %b %H:%M} UTC{why}"


class Wanted(Struct, frozen=True):
    """How many servers of a group shall be up now, and why.

    `opening` is the one that they are begun for ahead of it; `lessened`: they are fewer than declared.
    """

    group: str
    count: int
    why: str
    opening: datetime | None = None
    doubts: tuple[str, ...] = ()
    lessened: bool = False
