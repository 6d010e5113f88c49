"""The write-ahead log: where lines are durable first, in the order of arrival, in numbered files.

A file is frames, one per append: a header with lengths and checksums, a digest of whose lines are in it, and the
lines as they came, beside their times. One process writes; any number read while it does.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

import msgspec

from bluestone.host.files import flush
from bluestone.logs.ingest.lines import Line
from bluestone.logs.store.joining import joined, parted

MAGIC = 0x57534C42  # "BLSW", the bytes by which a frame is found again behind a damaged one
HEADER = struct.Struct("<IIIII")
"""Magic, length and CRC-32 of the digest, length and CRC-32 of the lines."""

SUFFIX = ".wal"
LARGEST = 1 << 30
"""Bytes of one frame: a length beyond it is damage."""

TOGETHER = b"\xc1"
"""Begins the lines of a frame that are kept together (a byte that begins nothing in MessagePack). Before, they were
encoded one by one, which took a receiver more time than writing them.
"""


class Stored(NamedTuple):
    """A line as it is kept: its time, in microseconds since 1970 and 64 bits, and what came."""

    at: int
    original: bytes


class Share(NamedTuple):
    """One server's part of a frame, in short.

    `counted` are lines that count as shipped; `goodbye` is the count of the goodbye that came last in it, if one did.
    """

    server: int
    lines: int
    counted: int
    goodbye: int | None
    oldest: int
    newest: int


class Frame(NamedTuple):
    """What one append stored. `end` is where the next frame begins; `body` unpacks to the lines of each share."""

    shares: list[Share]
    body: bytes
    end: int

    def lines(self) -> Iterator[tuple[Share, list[Stored]]]:
        """The lines, by the shares that they belong to."""
        if self.body[:1] != TOGETHER:
            return zip(self.shares, _one_by_one.decode(self.body), strict=True)
        return zip(self.shares, starmap(_stored, _together.decode(memoryview(self.body)[1:])), strict=True)


_shares = msgspec.msgpack.Decoder(list[Share])
_one_by_one = msgspec.msgpack.Decoder(list[list[Stored]])
_together = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]])
"""Of each share the times of its lines and, `joined`, the lines."""

_encoder = msgspec.msgpack.Encoder()


def encode(shares: Sequence[Share], lines: Sequence[Sequence[Stored | Line]]) -> bytes:
    """A frame as it is written: shares, and the lines of each."""
    together = [(_times([line.at for line in each]), joined([line.original for line in each])) for each in lines]
    digest, body = _encoder.encode(shares), TOGETHER + _encoder.encode(together)
    return HEADER.pack(MAGIC, len(digest), zlib.crc32(digest), len(body), zlib.crc32(body)) + digest + body


def _times(times: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(times)}q", *times)


def _stored(times: bytes, lines: bytes) -> list[Stored]:
    count = len(times) // 8
    return list(map(Stored, struct.unpack(f"<{count}q", times), parted(lines, count)))


def path_of(directory: Path, number: int) -> Path:
    """The file of this number."""
    return directory / f"{number:010d}{SUFFIX}"


def numbers(directory: Path) -> list[int]:
    """The numbers of the files there are, in order."""
    try:
        names = [path.name for path in directory.iterdir()]
        return sorted(int(name.removesuffix(SUFFIX)) for name in names if name.endswith(SUFFIX))
    except FileNotFoundError:
        return []


class Reader:
    """Reads a file of the log from any frame on. Sees a file that was removed since as it was."""

    def __init__(self, path: Path) -> None:
        """Raises `FileNotFoundError`."""
        self._file = path.open("rb")

    def size(self) -> int:
        """Bytes that are there now, the last of which may be half a frame."""
        return os.fstat(self._file.fileno()).st_size

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """The whole frames that begin in [start, end); damaged ones are left out, and end the file if they are last."""
        place = start
        while end is None or place < end:
            frame = self._frame(place)
            if frame is None:
                found = self._next_magic(place + 1, end)
                if found is None:
                    return
                place = found
                continue
            yield frame
            place = frame.end

    def whole(self) -> tuple[int, list[int]]:
        """Where the last whole frame ends, and where damaged stretches before it begin."""
        place, damaged = 0, []
        for frame in self.frames():
            begin = frame.end - HEADER.size - self._lengths(frame)
            if begin != place:
                damaged.append(place)
            place = frame.end
        return place, damaged

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _lengths(self, frame: Frame) -> int:
        return len(_encoder.encode(frame.shares)) + len(frame.body)

    def _frame(self, place: int) -> Frame | None:
        head = os.pread(self._file.fileno(), HEADER.size, place)
        if len(head) < HEADER.size:
            return None
        magic, digest_length, digest_sum, length, checksum = HEADER.unpack(head)
        if magic != MAGIC or digest_length > LARGEST or length > LARGEST:
            return None
        if place + HEADER.size + digest_length + length > self.size():
            return None
        content = os.pread(self._file.fileno(), digest_length + length, place + HEADER.size)
        digest, body = content[:digest_length], content[digest_length:]
        if len(body) < length or zlib.crc32(digest) != digest_sum or zlib.crc32(body) != checksum:
            return None
        return Frame(_shares.decode(digest), body, place + HEADER.size + digest_length + length)

    def _next_magic(self, place: int, end: int | None) -> int | None:
        wanted = struct.pack("<I", MAGIC)
        limit = self.size() if end is None else end
        while place < limit:
            piece = os.pread(self._file.fileno(), 1 << 20, place)
            found = piece.find(wanted)
            while found >= 0:
                if self._frame(place + found) is not None:
                    return place + found
                found = piece.find(wanted, found + 1)
            if len(piece) <= len(wanted):
                return None
            place += len(piece) - len(wanted) + 1
        return None


class Writer:
    """Appends to the newest file, and begins the next."""

    def __init__(self, directory: Path, number: int) -> None:
        """Go on with a file, or begin it. Half a frame at its end was never acknowledged, and goes.

        Raises `OSError`.
        """
        self._directory = directory
        self.number = number
        path = path_of(directory, number)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        reader = Reader(path)
        self.size, _ = reader.whole()
        reader.close()
        os.ftruncate(self._descriptor, self.size)
        os.fsync(self._descriptor)
        flush(directory)
        self._spoiled = False

    def append(self, frame: bytes) -> None:
        """Write a frame; it is on the disk when this returns. Raises `OSError`: then it is not there at all."""
        if self._spoiled:
            self.turn()
        try:
            written = 0
            while written < len(frame):
                written += os.pwrite(self._descriptor, memoryview(frame)[written:], self.size + written)
            os.fdatasync(self._descriptor)
        except OSError:
            self._take_back()
            raise
        self.size += len(frame)

    def turn(self) -> int:
        """End this file and begin the next; the number of the one that ended. Raises `OSError`."""
        following = Writer(self._directory, self.number + 1)
        ended = self.number
        os.close(self._descriptor)
        self.__dict__.update(following.__dict__)
        return ended

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _take_back(self) -> None:
        # After a failed sync the kernel may call pages clean that never reached the disk: what is written to this file
        # later could not be trusted, so the next append begins another.
        self._spoiled = True
        try:
            os.ftruncate(self._descriptor, self.size)
            os.fdatasync(self._descriptor)
        except OSError:
            pass
