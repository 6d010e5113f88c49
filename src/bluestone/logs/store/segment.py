"""A segment: some hundred thousand lines of a day in one file that never changes, with what finds them.

Lines stand in the order of their servers and times, in blocks that are compressed alone. Beside them: which words
are in which block, fields as columns, times, and counts per minute. Every part carries a checksum.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import zstandard

from bluestone.logs.audit import Counted
from bluestone.logs.store.block import Block
from bluestone.logs.store.cache import Cache
from bluestone.logs.store.columns import (
    Column,
    Mask,
    Numbers,
    unpack_codes,
    unpack_numbers,
    unpack_values,
)
from bluestone.logs.store.index import Places, look_up, places
from bluestone.logs.store.words import LONGEST, hash_of
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

MAGIC = b"BLSEG\x00\x00\x03"
FORMATS = {b"BLSEG\x00\x00\x01": 1, b"BLSEG\x00\x00\x02": 2, MAGIC: 3}
"""All that can be read: in the first, words are known by their CRC-32, in buckets whose ends are in the footer; in the
second it is not known where in a block they are."""

TRAILER = struct.Struct("<QII8s")
"""Where the footer is, its length, its CRC-32, and the magic again."""

MINUTE = 60_000_000
TIMES = 4096
"""Lines whose times are read together."""

_blocks: Cache[Block] = Cache(64)
_times: Cache[Numbers] = Cache(512)
_places: Cache[Places] = Cache(4096)
"""Some 40, 16 and 8 MB, of all segments that are open."""

_tokens = count()


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


class Minutes(NamedTuple):
    """How many lines there are per minute since 1970 and severity: columns of equal length."""

    minute: Numbers
    severity: Numbers
    lines: Numbers


class Segment:
    """Reads one. What is read is verified as it is read; `verify` reads all."""

    def __init__(self, path: Path) -> None:
        """Raises `FileNotFoundError`, or `Damaged` if its footer is."""
        self.path = path
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < len(MAGIC) + TRAILER.size:
                raise Damaged(path, "it is too short")
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        offset, length, checksum, magic = TRAILER.unpack(self._bytes[-TRAILER.size :])
        footer = self._bytes[offset : offset + length]
        if magic not in FORMATS or self._bytes[: len(MAGIC)] != magic or zlib.crc32(footer) != checksum:
            raise Damaged(path, "its footer does not fit its checksum")
        self.format = FORMATS[magic]
        self.footer: Footer = _footer.decode(zstandard.ZstdDecompressor().decompress(footer))
        self._token = next(_tokens)

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return self.footer.lines

    @cached_property
    def identities(self) -> list[Identity]:
        """Who wrote the lines of each span."""
        return [Identity(*known) for known in self.footer.identities]

    def identity(self, place: int) -> Identity:
        """Who wrote the lines of a span, by its place among the spans."""
        return self.identities[place]

    @cached_property
    def at(self) -> Numbers:
        """The time of each line, in microseconds since 1970. Raises `Damaged`."""
        return np.concatenate([self._times(number) for number in range(-(-self.lines // TIMES))])

    def at_of(self, lines: Numbers) -> Numbers:
        """The times of some lines, in ascending order of their places. Raises `Damaged`."""
        numbers = lines // TIMES
        pieces = [self._times(number)[lines[numbers == number] % TIMES] for number in np.unique(numbers).tolist()]
        return np.concatenate(pieces) if pieces else lines

    @cached_property
    def block_lines(self) -> Numbers:
        """The first line of each block, and the number of lines at the end."""
        return self._numbers("block_lines")

    @cached_property
    def block_plain(self) -> Mask:
        """The blocks in which messages stand as they are (`words.written_as_it_is`)."""
        return self._numbers("block_plain").astype(bool)

    @cached_property
    def block_newest(self) -> Numbers:
        """The newest time in each block."""
        return self._numbers("block_newest")

    @cached_property
    def block_oldest(self) -> Numbers:
        """The oldest time in each block."""
        return self._numbers("block_oldest")

    @cached_property
    def minutes(self) -> Minutes:
        """Counts per minute and severity."""
        return Minutes(*(self._numbers(f"totals.{name}") for name in Minutes._fields))

    def minutes_of(self, servers: Sequence[int]) -> Minutes:
        """Those of some servers, by their ids."""
        chosen = np.isin(self._numbers("minutes.server"), servers)
        return Minutes(*(self._numbers(f"minutes.{name}")[chosen] for name in Minutes._fields))

    @cached_property
    def span_firsts(self) -> Numbers:
        """The first line of each span."""
        return np.array([span.first for span in self.footer.spans], np.int64)

    def spread(self, answers: Sequence[bool]) -> Mask:
        """Tell each line what holds of its server; `answers` are by span."""
        return np.repeat(np.array(answers, bool), [span.lines for span in self.footer.spans])

    def column(self, name: str) -> Column | None:
        """A field's column; None if it has none. Raises `Damaged`."""
        if name not in self.footer.columns:
            return None
        try:
            values = list(unpack_values(self._part(f"values.{name}")))
            return Column(values, unpack_codes(self._part(f"codes.{name}")))
        except (zstandard.ZstdError, msgspec.DecodeError, ValueError) as error:
            raise Damaged(self.path, f"the column {name}: {error}") from error

    def counts(self, name: str) -> dict[str, int] | None:
        """How many lines have each value of a field; None if it has no column. Raises `Damaged`."""
        if name not in self.footer.columns:
            return None
        try:
            return unpack_values(self._part(f"values.{name}"))
        except (zstandard.ZstdError, msgspec.DecodeError) as error:
            raise Damaged(self.path, f"the values of {name}: {error}") from error

    def has(self, name: str) -> bool:
        """Whether a line of it may have that field."""
        return name in self.footer.columns or name in self.footer.wide

    def blocks_with(self, words: Sequence[bytes]) -> Mask:
        """The blocks in which all these words may be: surely not in others. Raises `Damaged`."""
        found = np.ones(len(self.block_lines) - 1, bool)
        for word in filter(self.indexes, words):
            with_word = np.zeros(len(found), bool)
            with_word[self.places_of(word).blocks] = True
            found &= with_word
            if not found.any():
                break
        return found

    def indexes(self, word: bytes) -> bool:
        """Whether blocks are known by words like this one."""
        return len(word) <= LONGEST or self.format == 1

    def places_of(self, word: bytes) -> Places:
        """Where a word may be that is indexed. Raises `Damaged`."""
        return _places.get((self._token, word), lambda: self._look_up(word))

    def block(self, number: int) -> Block:
        """A block. Raises `Damaged`."""
        return _blocks.get((self._token, number), lambda: self._read_block(number))

    def read(self, first: int, count: int) -> Iterator[bytes]:
        """Lines from one on. Raises `Damaged`."""
        place, end = first, first + count
        while place < end:
            number = self.block_of(place)
            begin = int(self.block_lines[number])
            lines = self.block(number).lines[place - begin : end - begin]
            yield from lines
            place += len(lines)

    def block_of(self, line: int) -> int:
        """The block that holds a line."""
        return int(np.searchsorted(self.block_lines, line, side="right")) - 1

    def blocks_of(self, lines: Numbers) -> Numbers:
        """The block that holds each of some lines."""
        return np.searchsorted(self.block_lines, lines, side="right") - 1

    def counted(self, place: int) -> Counted | None:
        """What the lines of a span come to; None if they must be read for that, as they are not all as they were."""
        return self._counted[place] if self._counted and self._blocks_are_whole else None

    @cached_property
    def _blocks_are_whole(self) -> bool:
        return zlib.crc32(self._part("blocks")) == self.footer.parts["blocks"].checksum

    @cached_property
    def _counted(self) -> list[Counted]:
        """By spans; none in segments of the former format, or if it is damaged."""
        part = self.footer.parts.get("counted")
        if part is None or zlib.crc32(self._part("counted")) != part.checksum:
            return []
        return _counts.decode(self._part("counted"))

    def verify(self) -> str:
        """Read every byte; what is damaged, or nothing."""
        for name, part in self.footer.parts.items():
            if zlib.crc32(self._bytes[part.offset : part.offset + part.length]) != part.checksum:
                return f"the part {name} does not fit its checksum"
        try:
            for number in range(len(self.block_lines) - 1):
                self._read_block(number)
        except Damaged as damaged:
            return damaged.reason
        return ""

    def _read_block(self, number: int) -> Block:
        ends = self._block_ends
        start, end = int(ends[number]), int(ends[number + 1])
        base = self.footer.parts["blocks"].offset
        try:
            content = zstandard.ZstdDecompressor().decompress(self._bytes[base + start : base + end])
        except zstandard.ZstdError as error:
            raise Damaged(self.path, f"block {number}: {error}") from error
        count = int(self.block_lines[number + 1] - self.block_lines[number])
        return Block(content, count, plain=bool(self.block_plain[number]))

    def _times(self, number: int) -> Numbers:
        """The times of `TIMES` lines, which are read together."""
        return _times.get((self._token, number), lambda: self._read_times(number))

    def _read_times(self, number: int) -> Numbers:
        part, ends = self.footer.parts["times"], self._times_ends
        packed = self._bytes[part.offset + int(ends[number]) : part.offset + int(ends[number + 1])]
        try:
            return unpack_numbers(packed)
        except zstandard.ZstdError as error:
            raise Damaged(self.path, f"times: {error}") from error

    @cached_property
    def _times_ends(self) -> Numbers:
        return self._numbers("times_ends")

    @cached_property
    def _block_ends(self) -> Numbers:
        return self._numbers("block_ends")

    @cached_property
    def _word_ends(self) -> Sequence[int] | Numbers:
        return self.footer.word_ends if self.format == 1 else np.frombuffer(self._part("word_ends"), np.int64)

    def _look_up(self, word: bytes) -> Places:
        wanted = zlib.crc32(word) if self.format == 1 else hash_of(word)
        bucket = wanted >> self.footer.word_shift
        start, end = (int(self._word_ends[bucket - 1]) if bucket else 0), int(self._word_ends[bucket])
        base = self.footer.parts["words"].offset
        try:
            return places(look_up(self._bytes[base + start : base + end], wanted), sliced=self.format > 2)
        except zstandard.ZstdError as error:
            raise Damaged(self.path, f"words: {error}") from error

    def _numbers(self, name: str) -> Numbers:
        try:
            return unpack_numbers(self._part(name))
        except zstandard.ZstdError as error:
            raise Damaged(self.path, f"{name}: {error}") from error

    def _part(self, name: str) -> bytes:
        part = self.footer.parts[name]
        return self._bytes[part.offset : part.offset + part.length]


_counts = msgspec.msgpack.Decoder(list[Counted])
_footer = msgspec.msgpack.Decoder(Footer)
