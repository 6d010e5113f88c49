"""Whether a feed can be relied on now: what makes it stale, or no more than half of itself. Pure.

Whoever reads a feed takes what it does not name for unaffected. So a feed that may be old, cut or empty is in trouble,
and all that it would cover is unknown.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from bluestone.model.exposure import FeedState
from bluestone.model.feed import Kind
from bluestone.patch.feeds.reading import Reading

SKEW = timedelta(hours=1)
"""How far ahead of this machine's clock a feed may be."""

HALF = 0.5
"""What shrank to less than this share of itself is taken for cut: advisories are added, seldom taken away."""

COVERS: dict[Kind, str] = {
    "archive": "deb:*",
    "debian": "deb:*",
    "pypi": "pypi",
    "npm": "npm",
    "maven": "maven",
    "go": "golang",
    "crates": "cargo",
}
"""What is unknown while a feed of a kind is in trouble; `*` is any release. The others only add to what these tell."""

LIMITS: dict[Kind, timedelta] = {
    "debian": timedelta(days=2),
    "pypi": timedelta(days=7),
    "npm": timedelta(days=7),
    "maven": timedelta(days=14),
    "go": timedelta(days=30),
    "crates": timedelta(days=60),
    "kev": timedelta(days=30),
    "epss": timedelta(days=4),
}
"""How old the moment may be that a feed describes by its own word: a mirror that stands still answers all the same.
Each is several times the longest pause between two issues that is usual of it."""


class Fetched(Struct, frozen=True):
    """What is known of a feed's content apart from what it says.

    `fetched` is when it was last found to be current, None if never; `modified` when its server says that it was made;
    `entries` how many it had when it was last sound; `failure` what hindered the last attempt to fetch it, `refused`
    whether that was something else than nobody answering; `checked` is by what checksum it was found whole.
    """

    place: str
    sha256: str = ""
    fetched: datetime | None = None
    modified: datetime | None = None
    entries: int = 0
    failure: str = ""
    refused: bool = False
    checked: str = ""


def judged(
    kind: Kind, about: Fetched, reading: Reading | None, damage: str, now: datetime, max_age: timedelta
) -> FeedState:
    """The state of a feed: with `reading` None, what is wrong with it is `damage`, or that it was never fetched."""
    dated = (reading.dated if reading else None) or about.modified
    covers = reading.covers if reading and reading.covers else (COVERS[kind],) if kind in COVERS else ()
    trouble = _trouble(kind, about, reading, damage, dated, now, max_age)
    return FeedState(
        name=kind if kind != "vex" else f"vex {about.place}",
        kind=kind,
        digest=about.sha256,
        date=dated,
        fetched=about.fetched,
        advisories=reading.entries if reading else 0,
        # What is wrong with a whole feed is wrong for all that it could cover.
        covers=(COVERS[kind],) if trouble and kind in COVERS else covers,
        verified=f"sha256 of what was fetched{f', {about.checked}' if about.checked else ''}",
        trouble=trouble,
    )


def _trouble(
    kind: Kind,
    about: Fetched,
    reading: Reading | None,
    damage: str,
    dated: datetime | None,
    now: datetime,
    max_age: timedelta,
) -> str:
    if about.refused:
        return f"could not be fetched: {about.failure}"
    if about.fetched is None:
        return f"was never fetched{f': {about.failure}' if about.failure else ''}"
    if reading is None:
        return damage or "could not be read"
    if kind in COVERS and not reading.covers:
        return (
            f"tells of nothing that a feed of {COVERS[kind].partition(':')[0]} should"
            if reading.entries
            else "is empty"
        )
    if not reading.entries:
        return "is empty"
    if is_cut(reading.entries, about.entries):
        return f"shrank from {about.entries} entries to {reading.entries}"
    if (latest := max(about.fetched, dated or about.fetched)) > now + SKEW:
        return f"is dated {latest:%Y-%m-%d %H:%M} UTC, which is yet to come by this machine's clock"
    if now - about.fetched > max_age:
        return f"was last fetched {in_words(now - about.fetched)} ago{f': {about.failure}' if about.failure else ''}"
    if dated and kind in LIMITS and now - dated > LIMITS[kind]:
        return f"describes {dated:%Y-%m-%d}, {in_words(now - dated)} ago"
    return ""


def is_cut(entries: int, before: int) -> bool:
    """Whether so many entries are too few, where there were so many before."""
    return entries < before * HALF


def in_words(span: timedelta) -> str:
    """A span as people say it, roughly: `3 days`, `5 h`, `12 min`."""
    seconds = span.total_seconds()
    if seconds >= 2 * 86400:
        return f"{seconds // 86400:.0f} days"
    return f"{seconds // 3600:.0f} h" if seconds >= 7200 else f"{seconds // 60:.0f} min"
