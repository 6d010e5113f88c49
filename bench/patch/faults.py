"""Feeds with a fault each, and an archive with one after the other: how many end as unknown. All must."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

import fake_archive
import feed_world
from bench.images.figures import Figures, note
from feed_world import ARCHIVE_FAULTS, FEED_FAULTS, JINJA, OLD, PROGRAM, WHOLE, World, zipped


def measure() -> Figures:
    """The share of faults after which what the feed covers is unknown."""
    came: dict[str, bool] = {}
    with fake_archive.key() as key, tempfile.TemporaryDirectory(prefix="bs-bench-", dir="/var/tmp") as directory:
        with feed_world.world(Path(directory, "archive"), key) as world:
            came |= dict(_of_archive(world))
        for number, fault in enumerate(FEED_FAULTS):
            with feed_world.world(Path(directory, str(number)), key) as world:
                came[f"feed: {fault}"] = _of_feed(world, fault)
        with feed_world.world(Path(directory, "clock"), key) as world:
            came |= dict(_of_clock(world))
    for title, unknown in came.items():
        if not unknown:
            note(f"not unknown after: {title}")
    note(f"{sum(came.values())} of {len(came)} faults end as unknown")
    return Figures({}, {"feed_faults": len(came), "feed_faults_unknown_pct": 100 * sum(came.values()) / len(came)})


def _of_archive(world: World) -> Iterator[tuple[str, bool]]:
    assert world.assess().outcome == "clean"
    for hour, (fault, _) in enumerate(ARCHIVE_FAULTS, 1):
        fault(world)
        found = world.assess(after=timedelta(hours=hour))
        yield f"archive: {fault.__name__}", found.outcome == "unknown" and found.unknown[0].components == 2
        world.archives.publish("debian-security", f"{fake_archive.SUITE}-security", ())
    world.archives.publish("debian", fake_archive.SUITE, (OLD, PROGRAM))
    assert world.assess(after=timedelta(hours=8)).outcome == "clean"
    yield "archive: stale", world.assess(after=timedelta(days=2), ask=False).outcome == "unknown"


def _of_feed(world: World, fault: str) -> bool:
    world.policy = replace(world.policy, archive=False)
    world.hold(replace(JINJA, version="3.1.6"))
    world.feed("pypi", zipped(*WHOLE))
    assert world.assess().outcome == "clean"
    world.feed("pypi", FEED_FAULTS[fault], later=10)
    return world.assess(after=timedelta(hours=1)).outcome == "unknown"


def _of_clock(world: World) -> Iterator[tuple[str, bool]]:
    world.policy = replace(world.policy, archive=False)
    world.hold(replace(JINJA, version="3.1.6"))
    world.feed("pypi", zipped(*WHOLE))
    assert world.assess().outcome == "clean"
    yield "clock: behind", world.assess(after=timedelta(days=-1), ask=False).outcome == "unknown"
    yield "clock: ahead", world.assess(after=timedelta(days=30)).outcome == "unknown"
