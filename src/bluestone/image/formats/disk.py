"""A bootable disk of an image: its tree as a compressed root that the kernel verifies block by block.

    EFI system partition   one file: kernel, first file system and command line, the root's hash in it
    root                   squashfs of the tree
    verity                 the hashes of the root's blocks (dm-verity)

Types and ids of the partitions are those of the Discoverable Partitions Specification, derived from the root's hash.
The same tree and the same tools give the same disk, bit for bit.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from bluestone.image import worker
from bluestone.image.formats import tools
from bluestone.image.formats.gpt import READ_ONLY, Partition, Table, table
from bluestone.image.formats.kernel import find_kernel, initrd
from bluestone.image.formats.layer import entries, read, stream
from bluestone.image.normalise import EPOCH
from bluestone.image.remove import remove_tree
from bluestone.image.tree import CAPABILITY, Entry
from bluestone.model.problem import Problem

LIMIT = 3600.0
"""Seconds that making a disk may take."""

BLOCK = 4096
"""Bytes of a block that is verified as one."""

ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
ROOT = uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
VERITY = uuid.UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
"""Partition types for x86-64 (Discoverable Partitions Specification)."""

SUPERBLOCK = uuid.UUID("5a8f10c5-7a0b-4b0e-8f5b-2b9d0f6f3c11")
"""The id in every verity superblock: nothing looks for it, and the root's hash is not known before it is written."""

SMALLEST_ESP = 36 << 20
SPARE = 4 << 20
"""Bytes: FAT32 needs some 33 MiB whatever is in it; beyond that, what the file system takes for itself."""

EFI_PATH = ("EFI", "BOOT", "BOOTX64.EFI")
"""What UEFI starts from a disk that it knows nothing of."""

COMMAND_LINE = (
    "console=ttyS0,115200",
    "loglevel=5",
    # A server whose kernel gives up starts again, or ends if its host says so.
    "panic=1",
    # As in a container: the console tells what fails.
    "systemd.show_status=error",
    "systemd.log_color=0",
    "systemd.getty_auto=0",
    "systemd.gpt_auto=0",
)


class DiskOrder(Struct, frozen=True):
    """What to pack, and where: `destination` does not exist yet."""

    image: Path
    tools: Path
    work: Path
    destination: Path


class DiskFacts(Struct, frozen=True):
    """A finished disk: the hash of its root in hexadecimal, its size in bytes, its kernel's release."""

    root_hash: str
    size: int
    kernel: str


def make_disk(image_root: Path, tools_root: Path, destination: Path, progress: Callable[[str], None]) -> DiskFacts:
    """Make a disk of an image in the store, in place of what is at `destination`: all of it, or nothing.

    Raises `Problem`.
    """
    work = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        draft = work / "disk"
        order = DiskOrder(image_root, tools_root, work, draft)
        facts = worker.carry_out(__name__, order, DiskFacts, progress=progress, timeout=LIMIT)
        draft.replace(destination)
    finally:
        remove_tree(work)
    return facts


def write(order: DiskOrder) -> DiskFacts:
    """Write the disk. Raises `Problem` and `OSError`."""
    known = entries(order.image)
    kernel = find_kernel(known)
    tools.open_tools(order.tools, order.work)
    worker.say("packing the root")
    tools.feed(order.tools, squashfs("root"), stream(known, order.image))
    root = order.work / "root"
    tools.use(order.tools, verity("root", "verity", "hash"))
    root_hash = (order.work / "hash").read_text().strip()
    worker.say(f"packing the kernel {kernel.release}")
    (order.work / "initrd").write_bytes(initrd(kernel, order.image, order.tools))
    (order.work / "linux").write_bytes(read(kernel.image, order.image))
    (order.work / "os-release").write_bytes(_os_release(known, order.image))
    (order.work / "cmdline").write_text(command_line(root_hash, root.stat().st_size // BLOCK))
    tools.use(order.tools, uki(kernel.release))
    _make_esp(order)
    worker.say("writing the disk")
    _assemble(order.destination, order.work, root_hash)
    return DiskFacts(root_hash, order.destination.stat().st_size, kernel.release)


def squashfs(target: str) -> list[str]:
    """Make a squashfs of a tar stream. Levels above 3 take long, and gain little on what is mostly packed already."""
    return [
        "mksquashfs",
        "-",
        tools.seen(target),
        "-tar",
        *("-comp", "zstd", "-Xcompression-level", "3"),
        *("-noappend", "-quiet", "-no-progress"),
        *("-mkfs-time", str(EPOCH), "-root-time", str(EPOCH)),
        *("-root-mode", "0755", "-root-uid", "0", "-root-gid", "0"),
        *("-xattrs-include", f"^{CAPABILITY}$"),
    ]


def verity(data: str, hashes: str, root_hash: str) -> list[str]:
    """Write the hashes of the blocks of a file. Without a salt: who knows the image knows its hashes anyway."""
    return [
        *("veritysetup", "format", "--salt=-", f"--uuid={SUPERBLOCK}", "--hash=sha256"),
        *(f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}"),
        f"--root-hash-file={tools.seen(root_hash)}",
        tools.seen(data),
        tools.seen(hashes),
    ]


def uki(release: str) -> list[str]:
    """Make the one file that the firmware starts (a unified kernel image, UAPI group specification 5)."""
    return [
        *("ukify", "build", f"--uname={release}"),
        f"--linux={tools.seen('linux')}",
        f"--initrd={tools.seen('initrd')}",
        f"--cmdline=@{tools.seen('cmdline')}",
        f"--os-release=@{tools.seen('os-release')}",
        f"--output={tools.seen('uki')}",
    ]


def command_line(root_hash: str, blocks: int) -> str:
    """The kernel's command line: which root to open, and nothing that is this server's own."""
    return " ".join([*COMMAND_LINE, f"bluestone.root={root_hash}", f"bluestone.blocks={blocks}"])


def esp(size: int) -> Iterator[list[str]]:
    """Make a FAT file system of `size` bytes with the one file in it. An id and no name are fixed."""
    yield [
        *("mkfs.vfat", "--invariant", "-F", "32", "-s", "1", "-i", "b1e57000"),
        *("-C", tools.seen("esp"), str(size // 1024)),
    ]
    for depth in (1, 2):
        yield ["mmd", "-i", tools.seen("esp"), "::/" + "/".join(EFI_PATH[:depth])]
    yield ["mcopy", "-i", tools.seen("esp"), tools.seen("uki"), "::/" + "/".join(EFI_PATH)]


def layout(root_hash: str, sizes: tuple[int, int, int]) -> Table:
    """The partition table for an EFI partition, a root and its hashes of these sizes in bytes.

    The root's id is the first half of its hash, its hashes' id the second: so systemd finds them too.
    """
    name = root_hash[:24]
    first, second = uuid.UUID(root_hash[:32]), uuid.UUID(root_hash[-32:])
    own = uuid.uuid5(first, "esp")
    return table(
        uuid.uuid5(first, "disk"),
        [
            Partition("esp", ESP, own, sizes[0]),
            Partition(f"root-{name}", ROOT, first, sizes[1], READ_ONLY),
            Partition(f"verity-{name}", VERITY, second, sizes[2], READ_ONLY),
        ],
    )


def _make_esp(order: DiskOrder) -> None:
    needed = (order.work / "uki").stat().st_size + SPARE
    size = max(SMALLEST_ESP, -(-needed // (1 << 20)) * (1 << 20))
    for command in esp(size):
        tools.use(order.tools, command, {"SOURCE_DATE_EPOCH": str(EPOCH), "TZ": "UTC"})


def _assemble(disk: Path, work: Path, root_hash: str) -> None:
    parts = [work / name for name in ("esp", "root", "verity")]
    sizes = (parts[0].stat().st_size, parts[1].stat().st_size, parts[2].stat().st_size)
    plan = layout(root_hash, sizes)
    with disk.open("wb") as file:
        file.truncate(plan.size)
        file.write(plan.head)
        file.flush()
        for part, offset in zip(parts, plan.offsets, strict=True):
            _copy(part, file.fileno(), offset)
            part.unlink()
        os.pwrite(file.fileno(), plan.tail, plan.size - len(plan.tail))
        os.fsync(file.fileno())


def _copy(source: Path, target: int, offset: int) -> None:
    """Copy a file into another, at an offset; where it has holes, the target keeps its own."""
    with source.open("rb") as file:
        size, place = source.stat().st_size, 0
        while place < size:
            try:
                place = os.lseek(file.fileno(), place, os.SEEK_DATA)
            except OSError:
                return  # Nothing but a hole is left.
            end = os.lseek(file.fileno(), place, os.SEEK_HOLE)
            while place < end:
                place += os.copy_file_range(file.fileno(), target, end - place, place, offset + place)


def _os_release(known: list[Entry], root: Path) -> bytes:
    for entry in known:
        if entry.path == b"usr/lib/os-release" and entry.kind == "file":
            return read(entry, root)
    raise Problem("the image does not say what it is: it has no /usr/lib/os-release", mend="keep the base's own")


if __name__ == "__main__":
    sys.exit(worker.serve(DiskOrder, write))
