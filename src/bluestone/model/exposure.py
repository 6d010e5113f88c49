"""An advisory that meets an image, and what is to be thought of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from msgspec import Struct, field

from bluestone.model.advisory import Advisory
from bluestone.model.bom import Component, Ecosystem
from bluestone.model.ids import Digest


class Verdict(StrEnum):
    """What an advisory means for a component. What cannot be told is `UNKNOWN`, never `NOT_AFFECTED`."""

    AFFECTED_WITH_FIX = "affected, with a fix"
    AFFECTED_WITHOUT_FIX = "affected, without a fix"
    NOT_AFFECTED = "not affected"
    WAIVED = "waived"
    UNKNOWN = "unknown"


def realm(ecosystem: Ecosystem, release: str) -> str:
    """What one feed covers or not, as a whole: `pypi`, or `deb:trixie`, as Debian's fixes are per release."""
    return f"deb:{release}" if ecosystem == "deb" else ecosystem


AFFECTED = (Verdict.AFFECTED_WITH_FIX, Verdict.AFFECTED_WITHOUT_FIX)


class Exposure(Struct, frozen=True):
    """An advisory about a component of an image.

    `fixed` is the lowest version of the fixed package that mends it, "" if there is none: of a Debian package its
    *source's* version, of the source that is named in `source`. `why` says what made the verdict. `since` is the moment
    that a deadline counts from: when the fix became available, else when the advisory was published, else when it was
    first seen. `until` is the end of a waiver.
    """

    advisory: Advisory
    image: Digest
    component: Component
    verdict: Verdict
    why: str
    source: str = ""
    fixed: str = ""
    since: datetime | None = None
    until: datetime | None = None


class Unknown(Struct, frozen=True):
    """Components of an image of which nothing can be told: how many of a `realm` ("" for any), and why."""

    image: Digest
    realm: str
    components: int
    why: str


class FeedState(Struct, frozen=True):
    """A feed as it was when it was read.

    `kind` is one of `patch.feeds.kinds`. `digest` is the SHA-256 of what was read, `date` the moment that it describes
    by its own word, `fetched` when it was last found to be current. `covers` are the `realm`s that it speaks of.
    `verified` says how it was checked. With `trouble`, what it covers is unknown.
    """

    name: str
    kind: str
    digest: str = ""
    date: datetime | None = None
    fetched: datetime | None = None
    advisories: int = 0
    covers: tuple[str, ...] = ()
    verified: str = ""
    trouble: str = ""

    @property
    def complete(self) -> bool:
        """Whether what it does not name can be taken for unaffected."""
        return not self.trouble


class Assessment(Struct, frozen=True):
    """All that is known, at an instant, of what images are exposed to.

    `servers` are those that run each image now, by image.
    """

    at: datetime
    exposures: tuple[Exposure, ...]
    unknown: tuple[Unknown, ...] = ()
    feeds: tuple[FeedState, ...] = ()
    servers: Mapping[Digest, tuple[str, ...]] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()

    @property
    def outcome(self) -> Literal["clean", "affected", "unknown"]:
        """`affected` where anything is, `clean` only if nothing could hide what is."""
        if any(each.verdict in AFFECTED for each in self.exposures):
            return "affected"
        hidden = self.unknown or self.gaps or any(each.verdict is Verdict.UNKNOWN for each in self.exposures)
        return "unknown" if hidden else "clean"
