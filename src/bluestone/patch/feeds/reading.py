"""What a reader makes of a feed: one shape, whatever the format. Pure.

Each format has one module here, with a function that takes what was fetched and returns a `Reading`. It raises
`Damaged` for what is not whole: half of a list says nothing about what is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple

from msgspec import Struct, field

from bluestone.model.advisory import Advisory, Severity, Statement


class Damaged(ValueError):
    """What was fetched cannot be used; the text says why, and reads on from the name of the feed."""


class Exploited(NamedTuple):
    """A CVE that is used in attacks: since when that is known, and by when CISA asks for the fix."""

    since: date
    due: date | None


class Reading(Struct, frozen=True):
    """What a feed says. `dated` is the moment that it describes, by its own word; `covers` are `model.exposure.realm`s.

    `entries` is how many things it tells of, whether they are wanted or not. `exploited` and `epss` are by CVE; `ends`
    has the day on which a release's security support ends, by codename.
    """

    entries: int
    covers: tuple[str, ...] = ()
    dated: datetime | None = None
    advisories: tuple[Advisory, ...] = ()
    exploited: Mapping[str, Exploited] = field(default_factory=dict)
    epss: Mapping[str, float] = field(default_factory=dict)
    ends: Mapping[str, date] = field(default_factory=dict)
    statements: tuple[Statement, ...] = ()


def moment(text: str) -> datetime | None:
    """A moment as RFC 3339 and its relatives have it; one without a zone is UTC. None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def rated(score: float) -> Severity:
    """The qualitative rating of a base score (FIRST, CVSS v3.1 section 5; v4.0 has the same bounds)."""
    if score <= 0:
        return "unknown"
    return "critical" if score >= 9 else "high" if score >= 7 else "medium" if score >= 4 else "low"
