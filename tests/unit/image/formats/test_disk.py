from pathlib import Path
from uuid import UUID

import pytest

from bluestone.image.formats.disk import (
    ESP,
    OPEN,
    ROOT,
    VERITY,
    command_line,
    esp,
    fill_in,
    layout,
    squashfs,
    uki,
    verity,
)
from bluestone.image.formats.tools import RECIPE, mounts, recipe
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base

HASH = "79e515f2d06583e75eaeb7ed01b1188ec37ec497fe88bbb2757e8cdd27b17f90"


def test_partitions_are_named_after_the_hash_of_the_root() -> None:
    made = layout(HASH, (36 << 20, 8192, 4096))
    entries = made.head[1024:]
    assert [UUID(bytes_le=entries[at : at + 16]) for at in (0, 128, 256)] == [ESP, ROOT, VERITY]
    ids = [UUID(bytes_le=entries[at + 16 : at + 32]) for at in (0, 128, 256)]
    assert ids[1].hex + ids[2].hex == HASH
    assert "root-79e515f2d06583e75eaeb7ed".encode("utf-16-le") in entries
    assert "verity-79e515f2d06583e75eaeb7ed".encode("utf-16-le") in entries
    assert layout(HASH, (36 << 20, 8192, 4096)) == made
    assert layout(HASH[::-1], (36 << 20, 8192, 4096)).head[512:] != made.head[512:]


def test_nothing_but_the_root_is_on_the_command_line() -> None:
    words = command_line(HASH, 22408).decode().split()
    assert words[-2:] == ["bluestone.blocks=22408", f"bluestone.root={HASH}"]
    assert "console=ttyS0,115200" in words
    assert "panic=1" in words
    assert "init=" not in " ".join(words)


def test_the_command_line_takes_the_place_that_was_left_open_for_it(tmp_path: Path) -> None:
    line = command_line(HASH, 10**12 - 1)
    disk = tmp_path / "disk"
    disk.write_bytes(OPEN + b"esp" + OPEN + b"more")
    with disk.open("r+b") as file:
        fill_in(file.fileno(), len(OPEN), disk.stat().st_size - len(OPEN), line)
    assert disk.read_bytes() == OPEN + b"esp" + line + b"more"


@pytest.mark.parametrize("places", [0, 2])
def test_a_place_that_is_not_there_once_is_not_guessed(tmp_path: Path, places: int) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"uki" + OPEN * places)
    with disk.open("r+b") as file, pytest.raises(Problem, match="the kernel's command line"):
        fill_in(file.fileno(), 0, disk.stat().st_size, command_line(HASH, 1))
    assert disk.read_bytes() == b"uki" + OPEN * places


def test_the_tools_are_told_all_that_would_differ_from_day_to_day() -> None:
    packing = squashfs("root")
    for option in ("-mkfs-time", "-root-time"):
        assert packing[packing.index(option) + 1] == "1000000000"
    assert packing[packing.index("-xattrs-include") + 1] == "^security.capability$"
    assert "--salt=-" in verity("root", "verity", "hash")
    assert any(argument.startswith("--uuid=") for argument in verity("root", "verity", "hash"))
    assert "--uname=6.12" in uki("6.12")
    make, *rest = esp(36 << 20)
    assert make[-1] == str(36 << 10)
    assert "--invariant" in make
    assert rest[-1][-1] == "::/EFI/BOOT/BOOTX64.EFI"


def test_the_tools_see_nothing_but_the_directory_that_they_work_in() -> None:
    commands = mounts(Path("/tools"), Path("/work"))
    assert commands[0] == ["mount", "--bind", "/work", "/tools/srv"]
    assert [command[-1] for command in commands] == ["/tools/srv", "/tools/tmp"]


def test_tools_come_from_the_archive_of_the_image_if_that_has_them() -> None:
    assert recipe(Base("debian", "bookworm")) == RECIPE
    named = recipe(Base("debian", "bookworm", "http://archive.invalid/debian"))
    assert named.base == Base("debian", "trixie", "http://archive.invalid/debian")
    assert named.packages == RECIPE.packages
    assert recipe(Base("ubuntu", "noble", "http://archive.invalid/ubuntu")) == RECIPE
