"""What data is kept as, from when to when, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from bluestone.hours.ledger import ledger
from bluestone.hours.prices import parse
from bluestone.hours.storage import AWAY, DESTROYED, MADE, kept
from bluestone.model.cost import Kept, Stay
from bluestone.model.event import Event
from bluestone.model.problem import Problem
from bluestone.model.volume import VolumeSpec

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
GIB = 1 << 30
TEXT = """\
currency = "EUR"
dated = 2026-10-01
[[price]]
provider = "podman"
hour = "0.01"
[[storage]]
provider = "podman"
kind = "volume"
gib_month = "0.73"
unsized = "5GiB"
[[storage]]
provider = "podman"
kind = "snapshot"
gib_month = "0.365"
"""
LIST = parse(TEXT, "prices.toml")
VOLUME = "db-1.data"


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def a_stay(began: datetime, ended: datetime | None = None, incarnation: int = 1) -> Stay:
    name = f"db-1-1f3a9c0d-{incarnation}"
    volumes = (VolumeSpec("data", "/data", 10 * GIB),)
    return Stay(name, "db", "sha256:a", "podman", None, None, began, ended, began, volumes=volumes)


def told(sequence: int, when: datetime, kind: str, **data: object) -> Event:
    return Event(sequence, when, kind, "db", "", "", {"volume": VOLUME, **data})


def summed(found: Sequence[Kept]) -> list[tuple[str, datetime, datetime | None, int | None]]:
    return [(each.kind, each.began, each.ended, each.stored) for each in found]


def test_a_volume_is_a_snapshot_from_when_it_is_put_away_until_its_slot_has_a_server() -> None:
    stays = [a_stay(at(2, 8), at(2, 18)), a_stay(at(3, 8), at(3, 18), 2)]
    away = told(2, at(2, 20), AWAY, bytes=GIB, ended=at(2, 19).isoformat())
    events = [told(1, at(1), MADE, size=10 * GIB, provider="podman"), away, told(3, at(4), DESTROYED)]
    found = kept(stays, events)
    assert summed(found) == [
        ("volume", at(1), at(2, 19), None),
        ("snapshot", at(2, 19), at(3, 8), GIB),
        ("volume", at(3, 8), at(4), None),
    ]
    assert {(each.name, each.group, each.size) for each in found} == {(VOLUME, "db", 10 * GIB)}


def test_servers_alone_tell_of_volumes_that_nobody_recorded() -> None:
    assert summed(kept([a_stay(at(2), at(3)), a_stay(at(5), None, 2)], [])) == [("volume", at(2), None, None)]
    assert kept([], [told(1, at(2), AWAY, bytes=1), told(2, at(3), DESTROYED)]) == [], "of what was never made"


def test_what_was_destroyed_is_another_volume_when_it_is_made_again() -> None:
    events = [told(1, at(3), DESTROYED)]
    assert summed(kept([a_stay(at(2), at(2, 1)), a_stay(at(4), None, 2)], events)) == [
        ("volume", at(2), at(3), None),
        ("volume", at(4), None, None),
    ]


def a_volume(**more: object) -> Kept:
    return Kept(**{  # type: ignore[arg-type]
        "name": VOLUME, "group": "db", "kind": "volume", "provider": "podman", "size": 10 * GIB, "began": at(2), **more,
    })  # fmt: skip


def test_storage_costs_by_size_and_time() -> None:
    parts = [
        a_volume(ended=at(3)),
        a_volume(kind="snapshot", began=at(3), ended=at(4), stored=2 * GIB),
        a_volume(name="db-2.data", size=None, ended=at(3)),
    ]
    found = ledger((), LIST, BEGIN, END, parts)
    # A thousandth of EUR for a GiB's hour, and half of that for a snapshot's.
    assert [line.amount for line in found.lines] == [Fraction(240, 1000), Fraction(24, 1000), Fraction(120, 1000)]
    assert [line.cause for line in found.lines] == ["volume", "snapshot", "volume"]
    assert found.by(lambda line: line.group) == {"db": (Fraction(0), Fraction(384, 1000))}, "no server-hours"


def test_what_goes_on_is_counted_within_what_is_asked_for_and_by_the_price_of_its_day() -> None:
    dearer = '[[storage]]\nprovider = "podman"\nkind = "volume"\ngib_month = "1.46"\nsince = 2026-11-30\n'
    found = ledger((), parse(TEXT + dearer, "prices.toml"), at(29), END, [a_volume()])
    assert [(line.begin, line.end, line.price) for line in found.lines] == [
        (at(29), at(30), Decimal("0.73")),
        (at(30), END, Decimal("1.46")),
    ]
    halves = [ledger((), LIST, *part, [a_volume()]).total for part in ((BEGIN, at(9)), (at(9), END))]
    assert sum(halves) == ledger((), LIST, BEGIN, END, [a_volume()]).total


def test_storage_without_a_price_is_named_only_where_storage_has_one() -> None:
    sizeless = parse(TEXT.replace('unsized = "5GiB"\n', ""), "prices.toml")
    assert ledger((), sizeless, BEGIN, END, [a_volume(size=None)]).unpriced == (VOLUME,)
    elsewhere = ledger((), LIST, BEGIN, END, [a_volume(provider="qemu")])
    assert not elsewhere.lines
    assert not elsewhere.unpriced, "no price of storage is a price of nothing"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (('kind = "volume"', 'kind = "disk"'), "kind of storage is missing or none"),
        (('gib_month = "0.73"', "gib_month = 0.73"), "stands without quotes"),
        (('gib_month = "0.73"', 'gb_month = "0.73"'), 'unknown key "gb_month"'),
        (('unsized = "5GiB"', 'unsized = "big"'), "unsized cannot be big"),
        (('[[storage]]\nprovider = "podman"', "[[storage]]"), "for no provider"),
    ],
)
def test_prices_of_storage_that_cannot_be_taken_are_explained(change: tuple[str, str], what: str) -> None:
    with pytest.raises(Problem, match=what) as refused:
        parse(TEXT.replace(*change, 1), "prices.toml")
    assert refused.value.mend


def test_an_hour_more_of_a_snapshot_instead_of_a_volume_is_saved() -> None:
    night = timedelta(hours=14)
    volume = ledger((), LIST, BEGIN, END, [a_volume(ended=at(2) + night)]).total
    snapshot = ledger((), LIST, BEGIN, END, [a_volume(kind="snapshot", stored=10 * GIB, ended=at(2) + night)]).total
    assert volume == 2 * snapshot
