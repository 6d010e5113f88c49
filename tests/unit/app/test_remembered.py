"""What was read before is not checked again, and never longer than it is true."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.app import remembered
from bluestone.host.paths import Home
from bluestone.image.lock import stored
from bluestone.image.lock.file import render
from bluestone.model.problem import Problem
from lock_examples import LOCK


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "h", tmp_path / "h" / "run")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    stored.write(tmp_path / "bluestone.lock", LOCK)
    return tmp_path / "bluestone.lock"


def test_a_lock_is_parsed_once(file: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first = remembered.read_lock(file, home)
    monkeypatch.setattr(stored, "read", lambda _path: pytest.fail("it was parsed again"))
    again = remembered.read_lock(file, home)
    assert again == first == LOCK
    assert again is not None
    assert render(again).encode() == file.read_bytes()


def test_another_text_is_parsed_anew(file: Path, home: Home) -> None:
    remembered.read_lock(file, home)
    other = replace(LOCK, inputs={})
    stored.write(file, other)
    assert remembered.read_lock(file, home) == other
    file.write_text(render(other).replace("1.0-1", "1.0-2"))
    with pytest.raises(Problem):
        remembered.read_lock(file, home)
    file.unlink()
    assert remembered.read_lock(file, home) is None


@pytest.mark.parametrize("spoilt", ["{spoilt", '{"origin": 1}', ""])
def test_what_is_kept_may_be_spoilt(spoilt: str, file: Path, home: Home) -> None:
    remembered.read_lock(file, home)
    (kept,) = (home.state / "declarations").iterdir()
    kept.write_text(spoilt)
    assert remembered.read_lock(file, home) == LOCK


def test_only_what_was_read_whole_is_remembered(file: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MAX_FILE", 64)
    assert remembered.read_lock(file, home) == LOCK
    assert not (home.state / "declarations").exists()
