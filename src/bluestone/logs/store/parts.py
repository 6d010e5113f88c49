"""A segment's file: its parts, and the footer that tells where they are. What is small in it is kept for all who open
it, so that opening it again costs little.
"""

from __future__ import annotations

import os
import struct
import weakref
import zlib
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

from bluestone.logs.store.cache import Cache
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

MAGIC = b"BLSEG\x00\x00\x03"
FORMATS = {b"BLSEG\x00\x00\x01": 1, b"BLSEG\x00\x00\x02": 2, MAGIC: 3}
"""All that can be read: in the first, words are known by their CRC-32, in buckets whose ends are in the footer; in the
second it is not known where in a block they are."""

TRAILER = struct.Struct("<QII8s")
"""Where the footer is, its length, its CRC-32, and the magic again."""


class Part(msgspec.Struct, array_like=True):
    """A part of the file, and its CRC-32."""

    offset: int
    length: int
    checksum: int


class Span(msgspec.Struct, array_like=True):
    """The lines of one server: they stand together, in the order of time."""

    server: int
    first: int
    lines: int
    oldest: int
    newest: int


class Footer(msgspec.Struct, array_like=True):
    """What is in a segment. `identities` are those of its servers, so that a segment can be read anywhere."""

    lines: int
    raw: int
    oldest: int
    newest: int
    spans: list[Span]
    identities: list[tuple[str, str, str, int, str]]
    columns: list[str]
    wide: list[str]
    word_shift: int
    word_ends: list[int]
    parts: dict[str, Part]


class Damaged(Problem):
    """A segment that is not as it was written."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"the log segment {path} is damaged: {what}", mend="see `bluestone logs check`; other lines are served"
        )
        self.path, self.reason = path, what


class Known(NamedTuple):
    """What is kept of a file when it is closed. `token` names it in caches; `identities` are by span."""

    token: int
    format: int
    footer: Footer
    identities: list[Identity]


class Parts:
    """An open file, which stays as it is when it is removed. Not mapped: what was read would count as our memory."""

    def __init__(self, path: Path) -> None:
        """Raises `FileNotFoundError`, or `Damaged` if its footer is."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        trailer = self._read(max(0, status.st_size - TRAILER.size), TRAILER.size)
        # With the trailer, which has a checksum of all checksums: numbers and times of files may come again.
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, trailer)
        self.known = _known.get(key, lambda: self._read_footer(status.st_size, trailer))

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """A part, or the bytes [start, end) of it. Raises `Damaged`."""
        part = self.known.footer.parts[name]
        return self._read(part.offset + start, (part.length if end is None else end) - start)

    def whole(self, name: str) -> bool:
        """Whether a part is as it was written. Raises `Damaged`."""
        return zlib.crc32(self.read(name)) == self.known.footer.parts[name].checksum

    def _read_footer(self, size: int, trailer: bytes) -> Known:
        if size < len(MAGIC) + TRAILER.size:
            raise Damaged(self.path, "it is too short")
        offset, length, checksum, magic = TRAILER.unpack(trailer)
        footer = self._read(offset, length) if offset + length <= size else b""
        if magic not in FORMATS or self._read(0, len(MAGIC)) != magic or zlib.crc32(footer) != checksum:
            raise Damaged(self.path, "its footer does not fit its checksum")
        said = _footer.decode(zstandard.ZstdDecompressor().decompress(footer))
        return Known(next(_tokens), FORMATS[magic], said, [Identity(*each) for each in said.identities])

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise Damaged(self.path, f"it cannot be read: {error.strerror}") from error


_known: Cache[Known] = Cache(1024)
"""Of all segments together: some 30 MB, if there are so many."""

_tokens = count()
_footer = msgspec.msgpack.Decoder(Footer)
