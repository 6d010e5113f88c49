"""`[patch]` as declared: by when a fix must be on the servers, when it may be rolled out, and what is waived."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Literal

from msgspec import Struct, field

from bluestone.model.advisory import Severity
from bluestone.model.feed import FeedPolicy

Table = Literal["bod-26-04", "none"]
"""The deadlines that are built in, for what no rule of the declaration meets."""

Urgency = Literal["exploited", "critical", "overdue"]
"""What may be patched in a freeze nevertheless."""


class Rule(Struct, frozen=True):
    """A deadline for what meets all that is said here; what is None is not asked.

    `within` counts from the moment when the fix became available; None is no deadline: with the next upgrade.
    `severity` and `epss` are the least that it must have. `exposed` is whether a group's ports can be reached from
    elsewhere.
    """

    within: timedelta | None
    severity: Severity | None = None
    exploited: bool | None = None
    epss: float | None = None
    exposed: bool | None = None


class Window(Struct, frozen=True):
    """Hours of some days of the week (0 is Monday), in which a patch may begin. One that ends at or before its begin
    ends on the day after."""

    days: tuple[int, ...]
    begin: time
    end: time


class Freeze(Struct, frozen=True):
    """Time in which no patch begins, from `begin` up to `end` without it, but for what is named in `unless`."""

    begin: datetime
    end: datetime
    reason: str
    unless: tuple[Urgency, ...] = ()


class FixWaiver(Struct, frozen=True):
    """An advisory that is lived with, up to `end` without it: who answers for that, and why.

    `groups` are those that it holds for; empty for all.
    """

    advisory: str
    owner: str
    reason: str
    end: datetime
    groups: tuple[str, ...] = ()


class PatchPolicy(Struct, frozen=True):
    """`[patch]`. `time_zone` is the IANA name of the zone that windows are in.

    `automatic` is whether the daemon patches by itself; it looks for fixes `every` so long. `exposed` are groups that
    can be reached from elsewhere, whatever their ports say. `raises` are files of the declaration whose pinned versions
    may be raised. `feeds` is where advisories come from.
    """

    automatic: bool = False
    every: timedelta = timedelta(hours=1)
    table: Table = "bod-26-04"
    rules: tuple[Rule, ...] = ()
    exposed: tuple[str, ...] = ()
    time_zone: str = "UTC"
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    waivers: tuple[FixWaiver, ...] = ()
    raises: tuple[str, ...] = ()
    feeds: FeedPolicy = field(default_factory=FeedPolicy)
