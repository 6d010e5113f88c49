"""A bootable disk of an image: its tree as a compressed root that the kernel verifies block by block.

    EFI system partition   one file: kernel, first file system and command line, the root's hash in it
    root                   squashfs of the tree
    verity                 the hashes of the root's blocks (dm-verity)

Types and ids of the partitions are those of the Discoverable Partitions Specification, derived from the root's hash.
The same tree and the same tools give the same disk, bit for bit.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from bluestone.image import worker
from bluestone.image.formats import gpt, tools
from bluestone.image.formats.gpt import READ_ONLY, Partition, Table, table
from bluestone.image.formats.kernel import Kernel, find_kernel, initrd
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

DIGITS = 12
"""Places of the number of the root's blocks in the command line; those that are left are blank."""

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
    """Write the disk. Raises `Problem` and `OSError`.

    What the firmware starts is made while the root is packed, and the root is written to the disk while its blocks are
    hashed. So the root's hash is known last: its place in the kernel's command line is left open, and filled in there.
    """
    known = entries(order.image)
    kernel = find_kernel(known)
    tools.open_tools(order.tools, order.work)
    work = order.work
    with ThreadPoolExecutor(1) as beside:
        boot = beside.submit(_make_esp, order, known, kernel)
        worker.say("packing the root, and the kernel " + kernel.release)
        tools.feed(order.tools, squashfs("root"), stream(known, order.image))
        boot.result()
        worker.say("writing the disk")
        hashed = beside.submit(tools.use, order.tools, verity("root", "verity", "hash"))
        with order.destination.open("w+b") as disk:
            esp_at, root_at = gpt.offsets([(work / name).stat().st_size for name in ("esp", "root")])
            _copy(work / "esp", disk.fileno(), esp_at)
            _copy(work / "root", disk.fileno(), root_at)
            os.fdatasync(disk.fileno())
            hashed.result()
            root_hash = (work / "hash").read_text().strip()
            _finish(disk.fileno(), work, root_hash)
    return DiskFacts(root_hash, order.destination.stat().st_size, kernel.release)


def squashfs(target: str) -> list[str]:
    """Make a squashfs of a tar stream. Level 3 takes 40 % more work, and gains 3 % on what is mostly packed already."""
    return [
        "mksquashfs",
        "-",
        tools.seen(target),
        "-tar",
        *("-comp", "zstd", "-Xcompression-level", "1"),
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


def command_line(root_hash: str, blocks: int) -> bytes:
    """The kernel's command line: which root to open, and nothing that is this server's own. Its length is always one.

    Before both are known, `OPEN` takes its place.
    """
    return " ".join([*COMMAND_LINE, f"bluestone.blocks={blocks:<{DIGITS}}", f"bluestone.root={root_hash}"]).encode()


OPEN = command_line("-" * 64, 0)


def esp(size: int) -> Iterator[list[str]]:
    """Make a FAT file system of `size` bytes with the one file in it. An id and no name are fixed."""
    yield [
        *("mkfs.vfat", "--invariant", "-F", "32", "-s", "1", "-i", "b1e57000"),
        *("-C", tools.seen("esp"), str(size // 1024)),
    ]
    yield ["mmd", "-i", tools.seen("esp"), *("::/" + "/".join(EFI_PATH[:depth]) for depth in (1, 2))]
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


def _make_esp(order: DiskOrder, known: list[Entry], kernel: Kernel) -> None:
    (order.work / "initrd").write_bytes(initrd(kernel, order.image, order.tools))
    (order.work / "linux").write_bytes(read(kernel.image, order.image))
    (order.work / "os-release").write_bytes(_os_release(known, order.image))
    (order.work / "cmdline").write_bytes(OPEN)
    tools.use(order.tools, uki(kernel.release))
    needed = (order.work / "uki").stat().st_size + SPARE
    size = max(SMALLEST_ESP, -(-needed // (1 << 20)) * (1 << 20))
    for command in esp(size):
        tools.use(order.tools, command, {"SOURCE_DATE_EPOCH": str(EPOCH), "TZ": "UTC"})


def _finish(disk: int, work: Path, root_hash: str) -> None:
    """Write what depends on the root's hash to a disk that has its first two partitions; return when it is safe."""
    sizes = [(work / name).stat().st_size for name in ("esp", "root", "verity")]
    plan = layout(root_hash, (sizes[0], sizes[1], sizes[2]))
    os.ftruncate(disk, plan.size)
    fill_in(disk, plan.offsets[0], sizes[0], command_line(root_hash, sizes[1] // BLOCK))
    _copy(work / "verity", disk, plan.offsets[2])
    os.pwrite(disk, plan.head, 0)
    os.pwrite(disk, plan.tail, plan.size - len(plan.tail))
    os.fsync(disk)


def fill_in(disk: int, begin: int, size: int, line: bytes) -> None:
    """Write the kernel's command line over `OPEN` in `size` bytes of a disk from `begin` on. Raises `Problem`."""
    with mmap.mmap(disk, begin + size) as content:
        place = content.find(OPEN, begin)
        if place < 0 or content.find(OPEN, place + 1) >= 0:
            raise Problem(
                "the tools did not leave the kernel's command line as it was given to them",
                mend="use the tools of another day: remove the store's tools.lock, and run the same again",
            )
        content[place : place + len(line)] = line


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
