"""What was read of a large feed is kept: for just that content, and never instead of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bluestone.app.patch import feeds
from bluestone.model.advisory import Advisory
from bluestone.model.exposure import FeedState
from bluestone.model.feed import FeedPolicy, FeedSource
from bluestone.patch.feeds import cache
from feed_world import WHOLE, zipped

NOW = datetime.now(UTC) + timedelta(minutes=1)


class World:
    """A project with one feed, a file beside it."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "osv.zip"
        policy = FeedPolicy(archive=False, sources=(FeedSource("pypi", str(self.file)),))
        self.project: Any = SimpleNamespace(declaration=SimpleNamespace(patch=SimpleNamespace(feeds=policy)))
        self.read = 0

    def load(self) -> tuple[tuple[Advisory, ...], FeedState]:
        found = feeds.load(self.project, (), NOW)
        return tuple(advisory for reading in found.readings for advisory in reading.advisories), found.states[0]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made, read = World(tmp_path), feeds._read

    def counted(*arguments: Any) -> Any:
        made.read += 1
        return read(*arguments)

    monkeypatch.setattr(feeds, "_directory", lambda _: tmp_path / "feeds")
    monkeypatch.setattr(feeds, "_read", counted)
    made.file.write_bytes(zipped(*WHOLE))
    return made


def test_the_same_content_is_read_once(world: World) -> None:
    first = world.load()
    assert len(first[0]) == len(WHOLE)
    assert world.load() == first
    assert world.read == 1


def test_other_content_is_read_and_so_is_what_other_readers_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.load()
    world.file.write_bytes(zipped(*WHOLE[:-1]))
    assert len(world.load()[0]) == len(WHOLE) - 1
    monkeypatch.setattr(cache, "READERS", cache.READERS + 1)
    world.load()
    assert world.read == 3


def test_what_was_kept_hides_no_fault(world: World) -> None:
    world.load()
    world.file.write_bytes(zipped(*WHOLE)[:-30])
    advisories, state = world.load()
    assert not advisories
    assert state.trouble
    world.file.unlink()
    assert world.load()[1].trouble


def test_what_was_kept_and_is_damaged_is_read_again(world: World, tmp_path: Path) -> None:
    first = world.load()
    (kept,) = (tmp_path / "feeds").glob("*/reading")
    kept.write_bytes(kept.read_bytes()[:-30])
    assert world.load() == first
    assert world.read == 2
