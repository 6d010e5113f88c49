"""What servers cost, as declared, and as it comes to."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct, field

from bluestone.model.volume import VolumeSpec

StorageKind = Literal["volume", "snapshot"]
"""What data is kept as: a volume, or the snapshot that takes its place while its group sleeps."""

Cause = Literal["served", "lead", "failed", "overlap", "volume", "snapshot"]
"""Why there is something to pay. Of a server: served: it was to get requests. lead: it was up ahead of an opening.
failed: it never served. overlap: it existed beside those that served, on its way in or out. Else what data was kept
as."""

CAUSES: tuple[Cause, ...] = ("served", "lead", "failed", "overlap")
"""Those of servers."""


class CostPolicy(Struct, frozen=True):
    """`[cost]`: the file of prices; what a month may cost, from which share of it on that is told, and which groups
    are ended when it is reached. `budget` is None for no limit."""

    prices: str
    budget: Decimal | None = None
    warn_at: int = 80
    optional: tuple[str, ...] = ()


class Price(Struct, frozen=True):
    """What a server costs from a day on (its beginning in UTC), in an hour, if it has no more than these resources.

    `cpus` and `memory` (bytes) are None where they do not matter. A lifetime is counted in whole steps of `step`
    seconds, and as at least `least` seconds.
    """

    since: date
    provider: str
    hour: Decimal
    size: str = ""
    cpus: float | None = None
    memory: int | None = None
    step: int = 1
    least: int = 0


class StoragePrice(Struct, frozen=True):
    """What a GiB of data costs from a day on (its beginning in UTC), kept for a month, which is 730 hours.

    `unsized` is how many bytes a volume counts as that has no size of its own; None if there is no price for those.
    """

    since: date
    provider: str
    kind: StorageKind
    gib_month: Decimal
    unsized: int | None = None


class Size(Struct, frozen=True):
    """A size of servers, as a price source calls it (`sku`), and what such a server has: see `Price`."""

    name: str
    sku: str
    cpus: float | None = None
    memory: int | None = None


class PricesFrom(Struct, frozen=True):
    """Who is to be asked what sizes of a provider cost in a region. `address` is empty for the usual one."""

    kind: str
    provider: str
    region: str
    sizes: tuple[Size, ...]
    address: str = ""


class PriceList(Struct, frozen=True):
    """Prices in one currency (ISO 4217), of a dated file, and who may be asked for others.

    Storage costs nothing at a provider for which there is no price of it.
    `fetched` are those that came from there: of which provider, and when.
    """

    currency: str
    dated: date
    prices: tuple[Price, ...]
    sources: tuple[PricesFrom, ...] = ()
    storage: tuple[StoragePrice, ...] = ()
    fetched: dict[str, date] = field(default_factory=dict)


class Stay(Struct, frozen=True):
    """A server's existence, for the ledger: which it was, what it was, and the instants that tell what it was for.

    `opening` is the one that it was begun ahead of; None for what never happened, or has not yet. `volumes` are those
    of its slot that it was to have.
    """

    server: str
    group: str
    image: str
    provider: str
    cpus: float | None
    memory: int | None
    began: datetime
    ended: datetime | None = None
    attached: datetime | None = None
    detached: datetime | None = None
    opening: datetime | None = None
    volumes: tuple[VolumeSpec, ...] = ()


class Kept(Struct, frozen=True):
    """A stretch of time in which data of a slot was kept as a volume or as a snapshot.

    `size` in bytes is that of the volume as it was declared, None if it has none; `stored` what the snapshot takes.
    """

    name: str
    group: str
    kind: StorageKind
    provider: str
    size: int | None
    began: datetime
    ended: datetime | None = None
    stored: int | None = None


class Line(Struct, frozen=True):
    """A line of the ledger: a server, for one cause, at one price of an hour, or a volume or snapshot of so many
    bytes, at one price of a GiB's month. `amount` is exact, in the list's currency."""

    server: str
    group: str
    image: str
    cause: Cause
    begin: datetime
    end: datetime
    price: Decimal
    since: date
    amount: Fraction
    stored: int | None = None
