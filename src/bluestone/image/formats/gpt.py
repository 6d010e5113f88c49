"""Writes a GUID partition table (UEFI Specification 2.10, chapter 5). Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from msgspec import Struct

SECTOR = 512
ALIGNMENT = 1 << 20
"""Bytes that every partition begins at a multiple of, as all tools do: a multiple of every disk's block."""

ENTRIES = 128
ENTRY_SIZE = 128
TABLE_SECTORS = ENTRIES * ENTRY_SIZE // SECTOR
HEADER_SIZE = 92
MAX_NAME = 36
"""UTF-16 code units of a partition's name."""

READ_ONLY = 1 << 60
"""The attribute that the Discoverable Partitions Specification has for what is never mounted for writing."""


class Partition(Struct, frozen=True):
    """A partition to make; `size` in bytes, a multiple of a sector."""

    name: str
    type: UUID
    uuid: UUID
    size: int
    attributes: int = 0


class Table(Struct, frozen=True):
    """What to write where: `head` at the disk's beginning, `tail` at its end, each partition at its offset in bytes."""

    head: bytes
    tail: bytes
    offsets: tuple[int, ...]
    size: int


def table(disk: UUID, partitions: Sequence[Partition]) -> Table:
    """The table of a disk just large enough for these partitions, in this order. Raises `ValueError`."""
    if len(partitions) > ENTRIES:
        raise ValueError(f"{len(partitions)} partitions, more than {ENTRIES}")
    for partition in partitions:
        _check(partition)
    *begins, end = offsets([*(partition.size for partition in partitions), 0])
    size = end + ALIGNMENT
    last = size // SECTOR - 1
    placed = zip(partitions, begins, strict=True)
    entries = b"".join(_entry(*each) for each in placed).ljust(ENTRIES * ENTRY_SIZE, b"\0")
    primary = _header(disk, entries, here=1, other=last, table_at=2, last=last)
    backup = _header(disk, entries, here=last, other=1, table_at=last - TABLE_SECTORS, last=last)
    return Table(_protective(last) + primary + entries, entries + backup, tuple(begins), size)


def offsets(sizes: Iterable[int]) -> Iterator[int]:
    """Where partitions of these sizes begin, one after another."""
    end = ALIGNMENT
    for size in sizes:
        yield end
        end = _aligned(end + size)


def _check(partition: Partition) -> None:
    if partition.size <= 0 or partition.size % SECTOR:
        raise ValueError(f"{partition.name}: {partition.size} bytes are no sectors of {SECTOR}")
    if len(partition.name.encode("utf-16-le")) > 2 * MAX_NAME:
        raise ValueError(f"{partition.name}: longer than {MAX_NAME}")


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _protective(last: int) -> bytes:
    """The master boot record that tells old tools that the disk is taken: one partition of type EE over all of it."""
    # Status, first CHS, type, last CHS (none), first sector, number of sectors.
    record = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, min(last, 0xFFFFFFFF))
    return b"\0" * 446 + record + b"\0" * 48 + b"\x55\xaa"


def _entry(partition: Partition, offset: int) -> bytes:
    first = offset // SECTOR
    name = partition.name.encode("utf-16-le").ljust(2 * MAX_NAME, b"\0")
    ids = partition.type.bytes_le + partition.uuid.bytes_le
    return ids + struct.pack("<QQQ", first, first + partition.size // SECTOR - 1, partition.attributes) + name


def _header(disk: UUID, entries: bytes, *, here: int, other: int, table_at: int, last: int) -> bytes:
    def packed(checksum: int) -> bytes:
        return struct.pack(
            "<8s4sIIIQQQQ16sQIII",
            b"EFI PART",
            b"\x00\x00\x01\x00",
            HEADER_SIZE,
            checksum,
            0,
            here,
            other,
            2 + TABLE_SECTORS,
            last - TABLE_SECTORS - 1,
            disk.bytes_le,
            table_at,
            ENTRIES,
            ENTRY_SIZE,
            zlib.crc32(entries),
        )

    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b"\0")
