"""What a virtual machine is on this machine's disk, and what a crash leaves of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluestone.fleet.providers.qemu import directories, records
from bluestone.fleet.providers.qemu.directories import Directories, Home
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem
from bluestone.model.server import ServerSpec

SPEC = ServerSpec("shop", 2, 17, Generation("web", 3, Digest("sha256:" + "1f3a9c0d" * 8), ServerConfig("qemu")), (), {})
RECORD = records.record_of(SPEC, {80: 20_080}, datetime(2026, 11, 25, tzinfo=UTC), "this-boot")


@pytest.fixture
def place(tmp_path: Path) -> Directories:
    return Directories(tmp_path / "machines", tmp_path / "consoles")


def made(place: Directories, console: bytes | None = b"") -> Home:
    home = place.of(SPEC.name)
    home.write(RECORD, b"boot")
    if console is not None:
        home.console.write_bytes(console)
    return home


def test_a_server_exists_with_its_record(place: Directories) -> None:
    assert place.all() == []
    home = made(place)
    assert [(found.name, record) for found, record in place.all()] == [(SPEC.name, RECORD)]
    assert home.boot.read_bytes() == b"boot"


def test_what_it_is_handed_is_for_its_owner_alone(place: Directories) -> None:
    home = made(place, console=None)
    assert home.boot.stat().st_mode & 0o777 == 0o400
    for directory in (home.directory, home.directory.parent, home.console.parent):
        assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "..", "../other", "a/b", "web-1.ended", ".lock", "Web"])
def test_what_is_no_servers_name_leads_nowhere(place: Directories, name: str) -> None:
    with pytest.raises(Problem, match="is not the name of a server"):
        place.of(name)


def test_a_server_that_cannot_be_written_leaves_nothing(place: Directories, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise Problem("cannot write: No space left on device")

    monkeypatch.setattr(directories, "write_atomically", full)
    with pytest.raises(Problem, match="No space"):
        place.of(SPEC.name).write(RECORD, b"boot")
    assert place.all() == []
    assert not place.of(SPEC.name).directory.exists()


def test_of_a_server_that_is_gone_its_console_is_left(place: Directories) -> None:
    home = made(place, b"reboot: Power down\n")
    home.remove()
    home.remove()
    assert place.all() == []
    assert [path.name for path in home.console.parent.iterdir()] == [f"{SPEC.name}.ended"]


def test_a_removal_that_was_interrupted_can_be_taken_up(place: Directories, monkeypatch: pytest.MonkeyPatch) -> None:
    home = made(place)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.rmtree", crash)
        home.remove()
    assert [record for _, record in place.all()] == [RECORD]
    assert not home.boot.exists()
    home.remove()
    assert place.all() == []


def test_sweeping_removes_what_never_became_a_server(place: Directories) -> None:
    home = made(place)
    half = place.of("web-3-1f3a9c0d-18")
    half.directory.mkdir()
    half.boot.write_bytes(b"secrets")
    place.sweep()
    assert [found.name for found, _ in place.all()] == [home.name]
    assert not half.directory.exists()


def test_consoles_of_servers_that_went_with_the_machine_are_ended(place: Directories) -> None:
    home = made(place)
    lost = home.console.with_name("web-3-1f3a9c0d-18")
    lost.write_bytes(b"line\n")
    place.sweep()
    place.sweep()
    assert sorted(path.name for path in lost.parent.iterdir()) == [home.name, f"{lost.name}.ended"]


def test_the_end_of_a_console_is_read_however_long_it_is(place: Directories) -> None:
    home = made(place, b"x" * 300_000 + b"\n\x1b[0mlast\r\n")
    lines = home.console_tail()
    assert lines[-1] == "last"
    assert sum(map(len, lines)) < directories.TAIL
    home.console.unlink()
    assert home.console_tail() == []


def test_one_at_a_time(place: Directories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "PATIENCE", 0.05)
    with place.exclusive(), pytest.raises(Problem, match="somebody else"), place.exclusive():
        pass
    with place.exclusive():
        pass


def test_a_damaged_record_is_not_passed_over(place: Directories) -> None:
    home = made(place)
    (home.directory / "record").write_bytes(b"{")
    with pytest.raises(Problem, match="cannot be understood"):
        place.all()


def test_a_socket_in_too_deep_a_place_is_refused(tmp_path: Path) -> None:
    home = Directories(tmp_path / ("d" * 100), tmp_path).of("web-0")
    with pytest.raises(Problem, match="too long for the kernel"):
        os.fspath(home.monitor)
