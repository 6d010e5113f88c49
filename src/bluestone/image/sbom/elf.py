"""Finds sections of ELF files (elf(5)), reading no more of them than that takes. Pure: the reading is handed in."""

from __future__ import annotations

import struct
from collections.abc import Callable

from msgspec import Struct

MAGIC = b"\x7fELF"
HEAD = 64
"""Bytes of an ELF header of 64 bits, the longer kind."""

MOST_SECTIONS = 4096
NAMES = 512
"""Bytes before the table of sections that usually hold all of their names."""

LARGEST_SECTION = 16 << 20
"""Bytes of a section that are read at most."""

ReadAt = Callable[[int, int], bytes]
"""Offset and length -> that much of a file, or what there is of it."""


class Segment(Struct, frozen=True):
    """Bytes of the file that are mapped to an address."""

    address: int
    offset: int
    size: int
    writable: bool


class Elf:
    """An ELF file. Raises `ValueError` and `struct.error` for one that is not well formed."""

    def __init__(self, head: bytes, read: ReadAt) -> None:
        self._read = read
        if head[:4] != MAGIC or head[4] not in (1, 2) or head[5] not in (1, 2):
            raise ValueError("not an ELF file")
        self.wide = head[4] == 2
        self.order = "<" if head[5] == 1 else ">"
        form = "HHIQQQIHHHHHH" if self.wide else "HHIIIIIHHHHHH"
        fields = struct.unpack_from(self.order + form, head, 16)
        self._program, self._table = fields[4], fields[5]
        self._program_size, self._program_count = fields[8], fields[9]
        self._entry, self._count, self._names = fields[10], fields[11], fields[12]

    def sections(self, wanted: tuple[bytes, ...]) -> dict[bytes, bytes]:
        """The content of those sections of these names that there are."""
        form = self.order + ("IIQQQQ" if self.wide else "IIIIII")
        smallest = struct.calcsize(form)
        if not self._table or not self._names < self._count <= MOST_SECTIONS or not smallest <= self._entry <= 256:
            return {}
        # Linkers write the names before the table: both are read at once, and the names again if they are elsewhere.
        begin, length = max(0, self._table - NAMES), self._entry * self._count
        tail = self._read(begin, self._table - begin + length)
        table = tail[self._table - begin :]
        if len(table) < self._names * self._entry + smallest:
            return {}
        *_, offset, size = struct.unpack_from(form, table, self._names * self._entry)
        if begin <= offset and offset + size <= self._table:
            names = tail[offset - begin : offset - begin + size]
        else:
            names = self._read(offset, min(size, 1 << 20))
        # A name may be the end of another's: of `.rela.dep` the last four are `.dep`.
        places = {at: name for name in wanted if (at := names.find(b"\0" + name + b"\0") + 1)}
        if not places:
            return {}
        found: dict[bytes, bytes] = {}
        for index in range(len(table) // self._entry):
            at, kind, *_, offset, size = struct.unpack_from(form, table, index * self._entry)
            name = places.pop(at, None)
            if name and kind != 8:  # SHT_NOBITS: nothing in the file
                found[name] = self._read(offset, min(size, LARGEST_SECTION))
        return found

    @property
    def has_sections(self) -> bool:
        """Whether there is a table of sections: `sstrip` and packers take it away."""
        return bool(self._table and self._count)

    def segments(self) -> list[Segment]:
        """What is loaded into memory."""
        form = self.order + ("IIQQQQQQ" if self.wide else "IIIIIIII")
        if not self._program_count or self._program_size < struct.calcsize(form):
            return []
        table = self._read(self._program, self._program_size * min(self._program_count, 128))
        found = []
        for index in range(len(table) // self._program_size):
            row = struct.unpack_from(form, table, index * self._program_size)
            if row[0] == 1:  # PT_LOAD
                flags, offset, address, size = (
                    (row[1], row[2], row[3], row[5]) if self.wide else (row[6], row[1], row[2], row[4])
                )
                found.append(Segment(address, offset, size, bool(flags & 2)))
        return found

    def memory(self, address: int, size: int) -> bytes:
        """Bytes by their address in memory; none where nothing of the file is mapped."""
        for segment in self.segments():
            if segment.address <= address < segment.address + segment.size:
                offset = address - segment.address
                return self._read(segment.offset + offset, min(size, segment.size - offset, LARGEST_SECTION))
        return b""
