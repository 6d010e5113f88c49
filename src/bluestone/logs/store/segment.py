"""A segment: some hundred thousand lines of a day in one file that never changes, with what finds them.

Lines stand in the order of their servers and times, in blocks that are compressed alone. Beside them: which words
are in which block, fields as columns, times, and counts per minute. Every part carries a checksum.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
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
from bluestone.logs.store.parts import Damaged, Parts, Span
from bluestone.logs.store.words import LONGEST, hash_of
from bluestone.model.record import Identity

MINUTE = 60_000_000
TIMES = 4096
"""Lines whose times are read together."""

_blocks: Cache[Block] = Cache(192)
_times: Cache[Numbers] = Cache(512)
_places: Cache[Places] = Cache(4096)
_few: Cache[Numbers] = Cache(8192)
"""At most some 120, 16, 8 and 50 MB, of all segments together."""


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
        self._file = Parts(path)
        self._token, self.format, self.footer, self.identities = self._file.known

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return self.footer.lines

    def identity(self, place: int) -> Identity:
        """Who wrote the lines of a span, by its place among the spans."""
        return self.identities[place]

    @cached_property
    def at(self) -> Numbers:
        """The time of each line, in microseconds since 1970. Raises `Damaged`."""
        return np.concatenate([self._times(number) for number in range(-(-self.lines // TIMES))])

    def at_of(self, lines: Numbers) -> Numbers:
        """The times of some lines, in ascending order of their places. Raises `Damaged`."""
        if len(lines) == 0:
            return lines
        numbers = lines // TIMES
        first = int(numbers[0])
        if first == numbers[-1]:  # nearly always
            return self._times(first)[lines - first * TIMES]
        pieces = [self._times(number)[lines[numbers == number] % TIMES] for number in np.unique(numbers).tolist()]
        return np.concatenate(pieces)

    @cached_property
    def block_lines(self) -> Numbers:
        """The first line of each block, and the number of lines at the end."""
        return self._few("block_lines")

    @cached_property
    def block_plain(self) -> Mask:
        """The blocks in which messages stand as they are (`words.written_as_it_is`)."""
        return self._few("block_plain").astype(bool)

    @cached_property
    def block_newest(self) -> Numbers:
        """The newest time in each block."""
        return self._few("block_newest")

    @cached_property
    def block_oldest(self) -> Numbers:
        """The oldest time in each block."""
        return self._few("block_oldest")

    @cached_property
    def minutes(self) -> Minutes:
        """Counts per minute and severity."""
        return Minutes(*(self._few(f"totals.{name}") for name in Minutes._fields))

    def minutes_of(self, servers: Sequence[int]) -> Minutes:
        """Those of some servers, by their ids."""
        chosen = np.isin(self._numbers("minutes.server"), servers)
        return Minutes(*(self._numbers(f"minutes.{name}")[chosen] for name in Minutes._fields))

    @cached_property
    def span_firsts(self) -> Numbers:
        """The first line of each span."""
        return np.array(self._firsts, np.int64)

    def span_of(self, line: int) -> int:
        """The place of the span that holds a line."""
        return bisect_right(self._firsts, line) - 1

    def time_of(self, line: int) -> int:
        """The time of a line. Raises `Damaged`."""
        return int(self._times(line // TIMES)[line % TIMES])

    @cached_property
    def _firsts(self) -> list[int]:
        return [span.first for span in self.footer.spans]

    def spread(self, answers: Sequence[bool]) -> Mask:
        """Tell each line what holds of its server; `answers` are by span."""
        return np.repeat(np.array(answers, bool), [span.lines for span in self.footer.spans])

    def column(self, name: str) -> Column | None:
        """A field's column; None if it has none. Raises `Damaged`."""
        if name not in self.footer.columns:
            return None
        try:
            values = list(unpack_values(self._file.read(f"values.{name}")))
            return Column(values, unpack_codes(self._file.read(f"codes.{name}")))
        except (zstandard.ZstdError, msgspec.DecodeError, ValueError) as error:
            raise Damaged(self.path, f"the column {name}: {error}") from error

    def counts(self, name: str) -> dict[str, int] | None:
        """How many lines have each value of a field; None if it has no column. Raises `Damaged`."""
        if name not in self.footer.columns:
            return None
        try:
            return unpack_values(self._file.read(f"values.{name}"))
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

    def lines_at(self, span: Span, at: int) -> list[bytes]:
        """The lines of a span of one instant. Raises `Damaged`."""
        times = self.at_of(np.arange(span.first, span.first + span.lines))
        first, last = np.searchsorted(times, [at, at + 1]).tolist()
        return list(self.read(span.first + first, last - first))

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
        return self._file.whole("blocks")

    @cached_property
    def _counted(self) -> list[Counted]:
        """By spans; none in segments of the former format, or if it is damaged."""
        if "counted" not in self.footer.parts or not self._file.whole("counted"):
            return []
        return _counts.decode(self._file.read("counted"))

    def verify(self) -> str:
        """Read every byte; what is damaged, or nothing."""
        try:
            for name in self.footer.parts:
                if not self._file.whole(name):
                    return f"the part {name} does not fit its checksum"
            for number in range(len(self.block_lines) - 1):
                self._read_block(number)
        except Damaged as damaged:
            return damaged.reason
        return ""

    def _read_block(self, number: int) -> Block:
        ends = self._block_ends
        start, end = int(ends[number]), int(ends[number + 1])
        try:
            content = zstandard.ZstdDecompressor().decompress(self._file.read("blocks", start, end))
        except zstandard.ZstdError as error:
            raise Damaged(self.path, f"block {number}: {error}") from error
        count = int(self.block_lines[number + 1] - self.block_lines[number])
        return Block(content, count, plain=bool(self.block_plain[number]))

    def _times(self, number: int) -> Numbers:
        """The times of `TIMES` lines, which are read together."""
        return _times.get((self._token, number), lambda: self._read_times(number))

    def _read_times(self, number: int) -> Numbers:
        start, end = int(self._times_ends[number]), int(self._times_ends[number + 1])
        try:
            return unpack_numbers(self._file.read("times", start, end))
        except zstandard.ZstdError as error:
            raise Damaged(self.path, f"times: {error}") from error

    @cached_property
    def _times_ends(self) -> Numbers:
        return self._few("times_ends")

    @cached_property
    def _block_ends(self) -> Numbers:
        return self._few("block_ends")

    @cached_property
    def _word_ends(self) -> Sequence[int] | Numbers:
        return self.footer.word_ends if self.format == 1 else np.frombuffer(self._file.read("word_ends"), np.int64)

    def _look_up(self, word: bytes) -> Places:
        wanted = zlib.crc32(word) if self.format == 1 else hash_of(word)
        bucket = wanted >> self.footer.word_shift
        start, end = (int(self._word_ends[bucket - 1]) if bucket else 0), int(self._word_ends[bucket])
        try:
            return places(look_up(self._file.read("words", start, end), wanted), sliced=self.format > 2)
        except zstandard.ZstdError as error:
            raise Damaged(self.path, f"words: {error}") from error

    def _few(self, name: str) -> Numbers:
        """A part that is asked for again and again, and of few numbers. Raises `Damaged`."""
        return _few.get((self._token, name), lambda: self._numbers(name))

    def _numbers(self, name: str) -> Numbers:
        try:
            return unpack_numbers(self._file.read(name))
        except zstandard.ZstdError as error:
            raise Damaged(self.path, f"{name}: {error}") from error


_counts = msgspec.msgpack.Decoder(list[Counted])
