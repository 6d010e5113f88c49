"""What the archives just said is what a lock is made by: they are not asked twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bluestone.app.patch import feeds
from bluestone.patch.feeds.judge import Fetched

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "archive" / feeds.LISTS).mkdir(parents=True)
    monkeypatch.setattr(feeds, "_directory", lambda _: tmp_path)
    monkeypatch.setattr(feeds, "_archive_directory", lambda _: tmp_path / "archive")
    policy = SimpleNamespace(archive=True)
    return SimpleNamespace(declaration=SimpleNamespace(patch=SimpleNamespace(feeds=policy)), place=tmp_path / "archive")


def kept(project: Any, failure: str = "") -> None:
    said = feeds._Archive(Fetched("trixie", "d", NOW, failure=failure))
    (project.place / "snapshot").write_bytes(msgspec.msgpack.encode(said))


def test_lists_of_that_moment_are_used(project: Any) -> None:
    kept(project)
    with feeds.lists(project, NOW) as found:
        assert found == project.place / feeds.LISTS


def test_older_ones_are_not_nor_where_somebody_else_is_asked(project: Any) -> None:
    kept(project)
    with feeds.lists(project, NOW + timedelta(microseconds=1)) as found:
        assert found is None
    project.declaration.patch.feeds.archive = False
    with feeds.lists(project, NOW) as found:
        assert found is None


def test_nor_what_is_left_from_before_a_failure_or_nothing_at_all(project: Any) -> None:
    with feeds.lists(project, NOW) as found:
        assert found is None
    kept(project, failure="the archive cannot be reached")
    with feeds.lists(project, NOW) as found:
        assert found is None
