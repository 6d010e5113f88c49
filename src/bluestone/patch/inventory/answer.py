"""What the inventory answers: where something is, and what it cannot tell."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from bluestone.model.bom import Ecosystem
from bluestone.model.ids import Digest
from bluestone.model.lifetime import Lifetime

When: TypeAlias = "datetime | Literal['now', 'ever']"
"""Which servers are asked for: those that exist, those that did at an instant, or all that ever did."""


class Finding(Struct, frozen=True, gc=False):
    """A component that is asked for, and the `images` that have it at this place; most fields are as in
    `model.bom.Component`.

    `because` says what the query met: `name`; `artifact`, of one whose Maven group is not known; or of a Debian package
    the `source`, the `signed` source's own, or one that is `built using`. `origin` is that source, with its version.
    """

    images: tuple[Digest, ...]
    ecosystem: Ecosystem
    name: str
    version: str
    purl: str
    path: str
    owner: str
    evidence: str
    confidence: float
    declared: bool
    because: str = "name"
    origin: str = ""


class Silent(Struct, frozen=True):
    """What cannot be told of an image that servers in question run or ran: `why`.

    `unread`: nothing of it, as neither it nor its bill was ever seen on this machine. `unidentified`: there are `files`
    in it of which it could not be told what they are, `detail` is one of them. `incomparable`: it holds the name, in a
    version that cannot be compared: `detail`.
    """

    image: Digest
    why: Literal["unread", "unidentified", "incomparable"]
    files: int = 0
    detail: str = ""


class Answer(Struct, frozen=True):
    """All places of what was asked for. `servers` are those in question that run or ran an image of a finding;
    `unused` are images of findings, on this machine, that none of them does. `gaps` says what could not be read.
    """

    findings: tuple[Finding, ...]
    servers: tuple[Lifetime, ...]
    unused: tuple[Digest, ...]
    silent: tuple[Silent, ...]
    gaps: tuple[str, ...] = ()

    @property
    def verdict(self) -> Literal["found", "unknown", "nowhere"]:
        """`nowhere` only if nothing hides where it could be."""
        if self.servers:
            return "found"
        return "unknown" if self.silent or self.gaps else "nowhere"
