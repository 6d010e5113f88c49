"""Reads zip archives that nobody vouches for (APPNOTE 6.3): as little as is asked for, and never too much. Pure.

zipfile makes an object of every entry, which is half the time of a scan, and sets no bounds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec
from isal import isal_zlib

ReadAt = Callable[[int, int], bytes]
"""Offset and length -> that much of a file, or what there is of it."""

MOST_ENTRIES = 500_000
LARGEST_DIRECTORY = 64 << 20
"""Bytes of a table of contents that are read at most."""

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s4x2H4x3L3H8xL")
_LOCAL = struct.Struct("<26x2H")
_FULL, _FULL_SHORT = 0xFFFFFFFF, 0xFFFF
_STORED, _DEFLATED = 0, 8


class Damaged(ValueError):
    """An archive, or a part of one, that cannot or must not be read; the text says why."""


class _Entry(msgspec.Struct, gc=False):
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    offset: int


class Zip:
    """An archive of `size` bytes. Raises `Damaged` for what is none."""

    def __init__(self, read: ReadAt, size: int) -> None:
        self._read = read
        end_at, end = _find_end(read, size)
        _, _, _, _, count, length, offset, _ = _END.unpack(end)
        if _FULL_SHORT in (count,) or _FULL in (length, offset):
            end_at, count, length, offset = _end64(read, end_at, (count, length, offset))
        begin = end_at - length
        if begin < 0 or length > LARGEST_DIRECTORY or count > MOST_ENTRIES:
            raise Damaged("its table of contents is too large, or cut short")
        # Something may stand before the archive, a shell script for one.
        self._shift = begin - offset
        self._entries = _entries(read(begin, length), count)

    @property
    def names(self) -> list[str]:
        """What is in the archive, in the order of its table of contents."""
        return list(self._entries)

    def size(self, name: str) -> int:
        """Bytes of a member when unpacked, as the archive says."""
        return self._entries[name].size

    def read(self, name: str, most: int) -> bytes:
        """The content of a member. Raises `Damaged`, also if there would be more than `most` bytes."""
        entry = self._entries[name]
        if entry.flags & 1:
            raise Damaged("it is encrypted")
        if entry.size > most or entry.packed > most + most // 8 + 1024:
            raise Damaged(f"it has more than {most} bytes")
        at = entry.offset + self._shift
        header = self._read(at, _LOCAL.size) if at >= 0 else b""
        if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
            raise Damaged("it is not where the archive says")
        names, extras = _LOCAL.unpack(header)
        data = _unpacked(self._read(at + _LOCAL.size + names + extras, entry.packed), entry.method, most)
        if isal_zlib.crc32(data) != entry.checksum:
            raise Damaged("its checksum is wrong")
        return data


def _find_end(read: ReadAt, size: int) -> tuple[int, bytes]:
    """Where the end record begins, and that record. A comment after it may look like another one."""
    begin = max(0, size - _END.size - _FULL_SHORT)
    tail = read(begin, size - begin)
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        record = tail[at : at + _END.size]
        if len(record) == _END.size and at + _END.size + _END.unpack(record)[7] == len(tail):
            return begin + at, record
        at = tail.rfind(b"PK\5\6", 0, at)
    raise Damaged("it is no zip archive, or cut short")


def _end64(read: ReadAt, end_at: int, short: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Where the table of contents ends, its entries, its length and its offset, of an archive with wide fields."""
    at = end_at - _LOCATOR.size
    locator = read(at, _LOCATOR.size) if at >= 0 else b""
    if len(locator) < _LOCATOR.size or locator[:4] != b"PK\6\7":
        return (end_at, *short)  # 65535 entries without wide fields
    for place in (_LOCATOR.unpack(locator)[2], at - _END64.size):
        record = read(place, _END64.size) if place >= 0 else b""
        if len(record) == _END64.size and record[:4] == b"PK\6\6":
            fields = _END64.unpack(record)
            return place, fields[7], fields[8], fields[9]
    raise Damaged("its end is not where it says")


def _entries(directory: bytes, count: int) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    at, end = 0, len(directory) - _ENTRY.size
    unpack, width = _ENTRY.unpack_from, _ENTRY.size
    for _ in range(count):
        if at > end:
            raise Damaged("its table of contents is damaged")
        magic, flags, method, checksum, packed, size, names, extras, comments, offset = unpack(directory, at)
        if magic != b"PK\1\2":
            raise Damaged("its table of contents is damaged")
        at += width
        name = directory[at : at + names].decode("utf-8", "replace")
        if packed == _FULL or size == _FULL or offset == _FULL:
            extra = directory[at + names : at + names + extras]
            size, packed, offset = _wide(extra, size, packed, offset)
        at += names + extras + comments
        entries[name] = _Entry(flags, method, checksum, packed, size, offset)
    return entries


def _wide(extra: bytes, *values: int) -> tuple[int, int, int]:
    """Size, packed size and offset, those that do not fit replaced from the extra field for wide ones."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            numbers = iter(struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4))
            size, packed, offset = (next(numbers, value) if value == _FULL else value for value in values)
            return size, packed, offset
        at += 4 + length
    size, packed, offset = values
    return size, packed, offset


def _unpacked(packed: bytes, method: int, most: int) -> bytes:
    if method == _STORED:
        return packed
    if method != _DEFLATED:
        raise Damaged(f"it is packed in a way that is not known ({method})")
    unpack = isal_zlib.decompressobj(-isal_zlib.MAX_WBITS)
    try:
        data = unpack.decompress(packed, most + 1)
    except isal_zlib.error as error:  # type: ignore[misc]  # the stub's: it is an exception
        raise Damaged("it cannot be unpacked") from error
    if len(data) > most:
        raise Damaged(f"it has more than {most} bytes")
    return data
