"""What the journal gets of volumes, and what they will cost."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from bluestone.app import wiring
from bluestone.app.hours.cost import LOOKED_AHEAD, _storage_of
from bluestone.app.hours.storage import made, storage
from bluestone.fleet.controller.journal import Entry
from bluestone.hours.storage import DESTROYED
from bluestone.model.cost import Kept, PriceList, StoragePrice
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group
from bluestone.model.hours import Hours, Period
from bluestone.model.ids import Digest
from bluestone.model.volume import VolumeSpec

NOW = datetime(2026, 11, 30, tzinfo=UTC)
GIB = 1 << 30
VOLUMES = (VolumeSpec("data", "/data", 10 * GIB), VolumeSpec("spool", "/spool"))
GENERATION = Generation("db", 1, Digest("sha256:a"), ServerConfig("podman", volumes=VOLUMES))
DAY = date(2020, 1, 1)
PRICES = PriceList(
    "EUR",
    DAY,
    (),
    storage=(
        StoragePrice(DAY, "podman", "volume", Decimal("0.73")),
        StoragePrice(DAY, "podman", "snapshot", Decimal("0.073")),
    ),
)


def test_a_volume_is_recorded_once_until_it_is_destroyed() -> None:
    with closing(wiring.memory_journal()) as journal:
        entries = made(journal, GENERATION, [1])
        assert [entry.message for entry in entries] == ["db-1.data", "db-1.spool"]
        journal.record(NOW, entries)
        assert [entry.message for entry in made(journal, GENERATION, [1, 2])] == ["db-2.data", "db-2.spool"]
        journal.record(NOW + timedelta(days=1), [Entry(DESTROYED, "db", data={"volume": "db-1.data"})])
        assert [entry.message for entry in made(journal, GENERATION, [1])] == ["db-1.data"]
        data, spool = storage(journal, [])
        assert (data.size, data.provider, data.began, data.ended) == (10 * GIB, "podman", NOW, NOW + timedelta(days=1))
        assert (spool.size, spool.ended) == (None, None)


def test_volumes_to_come_cost_as_the_hours_say() -> None:
    days = LOOKED_AHEAD / timedelta(days=1)
    always = Group("db", provider="podman", count=2, volumes=VOLUMES[:1])
    assert _storage_of(always, [], PRICES, NOW) == Fraction(int(days) * 24 * 2 * 10, 1000)
    hours = Hours((Period("Mo-Su 00:00-12:00", 2),))
    asleep = Group("db", provider="podman", count=2, volumes=VOLUMES[:1], snapshots=("data",), hours=hours)
    half = Fraction(int(days) * 12 * 2 * 10, 1000)
    assert _storage_of(asleep, [], PRICES, NOW) == half + half / 10, "a snapshot of unknown size counts as its volume"
    last = [Kept(f"db-{slot}.data", "db", "snapshot", "podman", 10 * GIB, NOW, None, GIB) for slot in (1, 2)]
    assert _storage_of(asleep, last, PRICES, NOW) == half + half / 100, "and else as the last one of its slot"
