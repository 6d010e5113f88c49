"""The keys of `[servers.NAME.hours]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from bluestone.declaration import quantities
from bluestone.declaration.forms import Written
from bluestone.declaration.keys.table import Name, Table, key, lasting
from bluestone.declaration.texts import opening

Opening = Annotated[str, Written(opening.opening_hours, "opening hours")]
Number = Annotated[int, Field(ge=0, le=quantities.MAX_AMOUNT)]


class HoursTable(Table):
    """When a group is up. At all other times its servers are destroyed; volumes, images and log lines stay."""

    open: Opening = key(
        "When `count` servers are wanted, in OpenStreetMap's opening-hours syntax. `PH` are public holidays.",
        example="Mo-Fr 08:00-18:00; PH off",
    )
    zone: Annotated[str, Written(opening.zone, "IANA time zone")] = key(
        "The time zone of these hours.", example="Europe/Berlin", default="UTC"
    )
    country: Annotated[str, Written(opening.country, "ISO 3166 code of a country", opening.COUNTRY)] | None = key(
        "Whose public holidays `PH` are.", example="DE", default=None
    )
    region: Annotated[str, Written(opening.region, "ISO 3166-2 code of a region", opening.REGION)] | None = key(
        "The part of the country whose holidays count as well.", example="BW", default=None
    )
    calendars: list[Annotated[str, Written(opening.calendar, "path of an ICS file", opening.CALENDAR)]] = key(
        "Calendars (ICS) whose all-day events are holidays (`PH`) too. They are read again when they change.",
        example=["company-holidays.ics"],
        default=[],
    )
    periods: dict[Opening, Number] = key(
        "Other times, and how many servers are wanted then.", example={"Sa 10:00-14:00": 1}, default={}
    )
    minimum: Number = key("Servers that never sleep.", example=1, default=0)
    ready_by: Annotated[timedelta, lasting("0s", "4h")] = key(
        "How long before each opening all servers shall be healthy and behind the balancer.",
        example="5m",
        default="0s",
    )
    lead: Annotated[timedelta | None, Written(opening.lead, "auto, or duration, 1s to 4h", opening.LEAD)] = key(
        "How long before that they are begun: `auto` learns it from how long they took before.",
        example="3m",
        default="auto",
    )
    after: list[Name] = key("Groups that must serve before this one is started.", example=["db"], default=[])
    never_start_alone: bool = key(
        "Whether only a person may start it (`bluestone keep up`); the clock then only ends it.",
        example=True,
        default=False,
    )
    on_request: Literal["page", "hold"] | None = key(
        "Whether a request wakes the group while it sleeps, and what it gets: a page that says to try again "
        "(503 with Retry-After), or it is held until a server can take it. Left out: nothing wakes it.",
        example="page",
        default=None,
    )
    idle: Annotated[timedelta, lasting("1s", "7d")] = key(
        "How long no request must have come until a group that was woken by one sleeps again.",
        example="30m",
        default="15m",
    )
