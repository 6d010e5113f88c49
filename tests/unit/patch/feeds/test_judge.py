"""When a feed can be relied on, and when it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from msgspec.structs import replace

from bluestone.model.feed import Kind
from bluestone.patch.feeds.judge import COVERS, Fetched, judged
from bluestone.patch.feeds.reading import Reading

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SOUND = Fetched("https://feeds.example.org/x", "ab", NOW - timedelta(hours=1), NOW - timedelta(hours=2), entries=100)
WHOLE = Reading(100, ("pypi",), NOW - timedelta(hours=2))


def test_a_sound_feed() -> None:
    found = judged("pypi", SOUND, WHOLE, "", NOW, DAY)
    assert (found.complete, found.covers, found.advisories, found.trouble) == (True, ("pypi",), 100, "")


FAULTS: dict[str, tuple[Fetched, Reading | None, str, str]] = {
    "never fetched": (Fetched("x"), None, "", "never fetched"),
    "nobody answers at all": (Fetched("x", failure="timed out"), None, "", "never fetched: timed out"),
    "refused": (replace(SOUND, failure="404", refused=True), WHOLE, "", "could not be fetched: 404"),
    "stale": (replace(SOUND, fetched=NOW - 3 * DAY, failure="timed out"), WHOLE, "", "3 days ago: timed out"),
    "a mirror that stands still": (SOUND, replace(WHOLE, dated=NOW - 30 * DAY), "", "30 days ago"),
    "cut": (SOUND, None, "cannot be read: truncated", "cannot be read"),
    "half": (SOUND, replace(WHOLE, entries=49), "", "shrank from 100 entries to 49"),
    "empty": (SOUND, Reading(0), "", "is empty"),
    "another ecosystem": (SOUND, replace(WHOLE, covers=()), "", "tells of nothing"),
    "dated ahead": (SOUND, replace(WHOLE, dated=NOW + 2 * DAY), "", "yet to come"),
    "a clock that went back": (replace(SOUND, fetched=NOW + 2 * DAY), WHOLE, "", "yet to come"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_makes_all_that_a_feed_covers_unknown(fault: str) -> None:
    about, reading, damage, said = FAULTS[fault]
    found = judged("pypi", about, reading, damage, NOW, DAY)
    assert not found.complete and said in found.trouble and found.covers == ("pypi",)


def test_that_nobody_answers_is_no_fault_before_what_is_there_is_stale() -> None:
    assert judged("pypi", replace(SOUND, failure="timed out"), WHOLE, "", NOW, DAY).complete


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_feed_that_was_never_fetched_is_in_trouble_whatever_its_kind(kind: Kind) -> None:
    found = judged(kind, Fetched("x"), None, "", NOW, DAY)
    assert found.trouble and found.covers == ((COVERS[kind],) if kind in COVERS else ())
