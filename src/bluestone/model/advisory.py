"""What a feed says is wrong with versions of software, and since when there is a fix."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from bluestone.model.bom import Ecosystem

Severity = Literal["critical", "high", "medium", "low", "unknown"]
"""As CVSS's qualitative scale (FIRST, CVSS v3.1, section 5); `unknown` where nobody rated it."""


class Range(Struct, frozen=True, gc=False):
    """Versions from `introduced` on ("" from the first), up to `fixed` without it or to `last` with it.

    With neither `fixed` nor `last`, all that follow.
    """

    introduced: str = ""
    fixed: str = ""
    last: str = ""


class Affected(Struct, frozen=True, gc=False):
    """Versions of one package that an advisory is about: those in any of `ranges`, and those in `versions`.

    Of Debian, `name` is a source package and `release` the codename that this holds for ("" for any). Of Maven, `name`
    is `group:artifact`. `fix_since` is when the fix became available; None where there is none, or nobody knows.
    `undecided` says why the feed itself cannot tell whether these are affected (without ranges: any).
    """

    ecosystem: Ecosystem
    name: str
    ranges: tuple[Range, ...] = ()
    versions: tuple[str, ...] = ()
    release: str = ""
    fix_since: datetime | None = None
    undecided: str = ""


class Advisory(Struct, frozen=True, gc=False):
    """Something that is wrong, as one feed tells it.

    `id` is the feed's own; `aliases` are other names of the same (CVE numbers among them). `cvss` is the base score, 0
    to 10. `exploited` says that it is used in attacks (CISA's catalogue), and `exploited_due` by when that asks for the
    fix. `epss` is the probability, 0 to 1, that it is attacked within 30 days. `pending` is what an archive's newer
    package gives: a fix, whatever it may be that it mends.
    """

    id: str
    feed: str
    affected: tuple[Affected, ...] = ()
    aliases: tuple[str, ...] = ()
    summary: str = ""
    severity: Severity = "unknown"
    cvss: float | None = None
    exploited: bool = False
    exploited_due: date | None = None
    epss: float | None = None
    published: datetime | None = None
    pending: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All names it is known by, its own first."""
        return (self.id, *(alias for alias in self.aliases if alias != self.id))

    @property
    def cves(self) -> tuple[str, ...]:
        """Those of its names that are CVE numbers."""
        return tuple(name for name in self.names if name.startswith("CVE-"))


class Statement(Struct, frozen=True, gc=False):
    """What somebody who should know says of an advisory in a product (VEX).

    `names` are the advisory's, `products` package URLs or image digests; one without a version is any version.
    """

    names: tuple[str, ...]
    products: tuple[str, ...]
    status: Literal["not_affected", "affected", "fixed", "under_investigation"]
    why: str = ""
    author: str = ""
    at: datetime | None = None
