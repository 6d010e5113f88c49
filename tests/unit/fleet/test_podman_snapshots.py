"""Volumes that are put away and laid out again, killed at every step: the newest data is in one place, and whole.

The archives are real, and podman's volumes are directories here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluestone.fleet.providers.podman import Podman
from bluestone.fleet.providers.podman.directories import Directories as Turns
from bluestone.fleet.providers.podman.runtime import Runtime
from bluestone.fleet.providers.podman.snapshots import ARCHIVE, Snapshots
from bluestone.fleet.providers.podman.storage import Storage
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import ServerSpec
from bluestone.model.volume import Volume, VolumeSpec

NAME = "web-1.data"
AT = datetime(2026, 11, 23, tzinfo=UTC)
CONFIG = ServerConfig("podman", volumes=(VolumeSpec("data", "/srv/data"),))
SPEC = ServerSpec("p", 1, 1, Generation("web", 1, "sha256:" + "1" * 64, CONFIG))  # type: ignore[arg-type]


class Killed(BaseException):
    """The process is gone: nothing that it would do after this happens."""


class Life:
    """What a process still gets to do: so many steps."""

    def __init__(self, steps: int = 10**6) -> None:
        self.left = steps

    def step(self) -> None:
        if self.left <= 0:
            raise Killed
        self.left -= 1


class Directories:
    """Podman's volumes as directories, each call a step of a process's life."""

    def __init__(self, base: Path, life: Life) -> None:
        self.base, self.life = base, life

    def list(self) -> dict[str, Volume]:
        self.life.step()
        found = sorted(self.base.iterdir()) if self.base.exists() else []
        return {path.name: Volume(path.name, "web", 1, AT) for path in found}

    def place(self, name: str) -> Path:
        return self.base / name

    def make(self, volume: Volume) -> None:
        self.life.step()
        (self.base / volume.name).mkdir(parents=True)
        self.life.step()

    def remove(self, name: str) -> None:
        self.life.step()
        shutil.rmtree(self.base / name, ignore_errors=True)
        self.life.step()


class Mortal(Snapshots):
    """Snapshots, each step of which may be the last."""

    life: Life

    def _mortal(name: str) -> Callable[..., object]:  # type: ignore[misc]
        def method(self: Mortal, *arguments: object) -> object:
            self.life.step()
            found = getattr(Snapshots, name)(self, *arguments)
            self.life.step()
            return found

        return method

    begin, cancel, write, keep = _mortal("begin"), _mortal("cancel"), _mortal("write"), _mortal("keep")  # type: ignore[assignment]
    take, lay_out, discard = _mortal("take"), _mortal("lay_out"), _mortal("discard")  # type: ignore[assignment]


class Process:
    """A process of bluestone: its provider, and what it may still do."""

    def __init__(self, home: Path, steps: int = 10**6) -> None:
        self.life = Life(steps)
        self.provider = Podman("p", lambda _: home, home / "run", None, snapshot_directory=home / "snapshots")
        self.snapshots = Mortal(home / "snapshots")
        self.snapshots.life = self.life
        self.volumes = Directories(home / "volumes", self.life)
        self.storage = Storage(Turns(home / "run"), self.volumes, self.snapshots, tuple)  # type: ignore[arg-type]
        self.provider.__dict__ |= {"_runtime": Runtime(rootless=False), "_storage": self.storage}

    def bring_back(self) -> None:
        """What a create does before anything else."""
        self.storage.bring_back(SPEC)


def filled(home: Path) -> Path:
    """A volume with some of what may be in one."""
    place = home / "volumes" / NAME
    (place / "d").mkdir(parents=True)
    (place / "d" / "a").write_bytes(b"precious" * 1000)
    os.utime(place / "d" / "a", ns=(1_700_000_000_123_456_789,) * 2)
    (place / "d" / "a").chmod(0o640)
    (place / "link").symlink_to("d/a")
    os.link(place / "d" / "a", place / "hard")
    with (place / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    place.chmod(0o710)
    return place


def looks(place: Path) -> dict[str, object]:
    """All that is in a directory: names, kinds, modes, times, contents, links."""
    found: dict[str, object] = {}
    for path in [place, *sorted(place.rglob("*"))]:
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() else path.readlink() if path.is_symlink() else b""
        when = None if path.is_symlink() else stat.st_mtime_ns
        found[str(path.relative_to(place))] = (stat.st_mode, stat.st_uid, stat.st_nlink, when, content)
    return found


def test_what_was_put_away_comes_back_as_it_was(tmp_path: Path) -> None:
    place = filled(tmp_path)
    before = looks(place)
    process = Process(tmp_path)
    packed = process.provider.put_away(NAME)
    assert packed is not None
    assert packed < 8192
    assert not place.exists()
    (volume,) = process.provider.list_volumes()
    assert (volume.name, volume.snapshot) == (NAME, packed)
    assert process.provider.put_away(NAME) is None, "it is away already"
    process.bring_back()
    assert looks(place) == before
    assert (place / "sparse").stat().st_blocks == 0
    assert [each.snapshot for each in process.provider.list_volumes()] == [None]
    assert [path.name for path in (tmp_path / "snapshots").iterdir() if path.name[0] != "."] == []


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        filled(tmp_path / name)
        (tmp_path / name / "volumes" / NAME / "d" / "a").read_bytes()  # another time of access
        for path in [*(tmp_path / name).rglob("*")]:
            os.utime(path, ns=(1, 1), follow_symlinks=False)
        Process(tmp_path / name).provider.put_away(NAME)
    one, two = ((tmp_path / name / "snapshots" / f"{NAME}.snapshot" / ARCHIVE).read_bytes() for name in ("one", "two"))
    assert one == two


def test_killed_at_any_step_nothing_is_lost_and_one_place_is_the_newest(tmp_path: Path) -> None:
    killed = 0
    for steps in range(200):
        home = tmp_path / str(steps)
        before = looks(filled(home))
        process = Process(home, steps)
        try:
            process.provider.put_away(NAME)
            process.bring_back()
        except Killed:
            killed += 1
        else:
            break
        assert [each.name for each in Process(home).provider.list_volumes()] == [NAME], "it is listed, once"
        Process(home).bring_back()
        assert looks(home / "volumes" / NAME) == before
        if steps % 4:
            continue
        # What a server then writes is the newest, whatever was left of the snapshot.
        (home / "volumes" / NAME / "new").write_bytes(b"newer")
        Process(home).provider.put_away(NAME)
        Process(home).bring_back()
        assert (home / "volumes" / NAME / "new").read_bytes() == b"newer"
        shutil.rmtree(home)
    assert killed > 20


def test_a_server_that_comes_while_it_is_written_keeps_its_volume(tmp_path: Path) -> None:
    place = filled(tmp_path)
    process = Process(tmp_path)
    write = process.snapshots.write

    def write_slowly(*arguments: object) -> object:
        found = write(*arguments)
        Process(tmp_path).snapshots.cancel(NAME)  # as a create does, in its turn
        return found

    process.snapshots.write = write_slowly  # type: ignore[method-assign]
    with pytest.raises(Refused, match="a server was started with it"):
        process.provider.put_away(NAME)
    assert (place / "d" / "a").exists()
    assert process.snapshots.list() == {}


def test_a_damaged_snapshot_starts_no_server_and_is_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    process = Process(tmp_path)
    process.provider.put_away(NAME)
    archive = tmp_path / "snapshots" / f"{NAME}.snapshot" / ARCHIVE
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    for _ in range(2):
        with pytest.raises(Problem, match=r"damaged|tar failed"):
            process.bring_back()
        assert process.snapshots.has(NAME)
        with pytest.raises(Refused, match="was put away"):
            process.storage.hand_out(SPEC)


def test_an_empty_volume_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "volumes" / NAME).mkdir(parents=True)
    process = Process(tmp_path)
    assert process.provider.put_away(NAME) is None
    assert (tmp_path / "volumes" / NAME).is_dir()
    assert process.provider.put_away("web-9.none") is None


def test_what_cannot_be_written_leaves_the_volume(tmp_path: Path) -> None:
    place = filled(tmp_path)
    (tmp_path / "snapshots").write_text("in the way")
    with pytest.raises(Problem):
        Process(tmp_path).provider.put_away(NAME)
    assert (place / "d" / "a").exists()


def test_destroying_a_volume_destroys_its_snapshot(tmp_path: Path) -> None:
    filled(tmp_path)
    process = Process(tmp_path)
    process.provider.put_away(NAME)
    process.provider.remove_volume(NAME)
    assert process.provider.list_volumes() == []
