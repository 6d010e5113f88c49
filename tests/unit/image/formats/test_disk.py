from pathlib import Path
from uuid import UUID

from bluestone.image.formats.disk import ESP, ROOT, VERITY, command_line, esp, layout, squashfs, uki, verity
from bluestone.image.formats.tools import RECIPE, mounts, recipe
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
    words = command_line(HASH, 22408).split()
    assert words[-2:] == [f"bluestone.root={HASH}", "bluestone.blocks=22408"]
    assert "console=ttyS0,115200" in words
    assert "panic=1" in words
    assert "init=" not in " ".join(words)


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
