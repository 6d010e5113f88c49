"""`[patch.feeds]` as declared: where advisories come from."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from msgspec import Struct

Kind = Literal["archive", "debian", "pypi", "npm", "maven", "go", "crates", "kev", "epss", "support", "vex"]


class FeedSource(Struct, frozen=True):
    """A feed: its kind, and its http(s) address or absolute path."""

    kind: Kind
    place: str


class FeedPolicy(Struct, frozen=True):
    """`[patch.feeds]`. `archive` is whether the archives that images are made from are asked themselves. What was
    fetched longer than `max_age` ago is stale. `vex_keys` are files with public keys (PEM): where there are some, a VEX
    document must be signed by one."""

    sources: tuple[FeedSource, ...] = ()
    archive: bool = True
    max_age: timedelta = timedelta(days=1)
    vex_keys: tuple[str, ...] = ()
