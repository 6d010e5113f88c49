"""Fields of many lines as columns: each value once, and a number per line.

What is asked of a field is asked of its values, which are few, and then told of all lines at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from bluestone.logs.store.rows import Rows

Numbers = npt.NDArray[np.int64]
Kind = TypeVar("Kind", bound=np.generic)
Mask = npt.NDArray[np.bool_]

MOST = 128
"""Columns of one segment. A field beyond, or with too many values, is only in the lines."""

FEW = 1024
"""A field has a column if it has at most so many values, or one for each `REPEATED` of its lines."""

REPEATED = 3
LONGEST = 512
"""Characters of a value; a field with a longer one has no column."""

LEVEL = 6


class Column(NamedTuple):
    """A field's values, and for each line the place of its value among them, from 1; 0 where it has none."""

    values: Sequence[str]
    codes: npt.NDArray[np.unsignedinteger]

    def where(self, holds: Callable[[str | None], bool]) -> Mask:
        """The lines for which it holds; it is asked once for each value, and for none."""
        answers = np.fromiter((holds(value) for value in (None, *self.values)), bool, len(self.values) + 1)
        return np.asarray(answers[self.codes], dtype=bool)

    def counts(self, mask: Mask | None = None) -> dict[str, int]:
        """How many lines have each value; of those in the mask, if one is given."""
        codes = self.codes if mask is None else self.codes[mask]
        counted = np.bincount(codes, minlength=len(self.values) + 1)
        return {value: int(count) for value, count in zip(self.values, counted[1:], strict=True) if count}


class _Open:
    """A column while lines come: its values with their codes, and the codes of some lines after some others."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self._codes: list[tuple[Numbers, npt.NDArray[np.uint32]]] = []
        self._lines = 0

    def add(self, lines: Numbers, texts: Sequence[str]) -> bool:
        """Take the values of lines; whether it still makes a column."""
        values = self.values
        fresh = [text for text in dict.fromkeys(texts) if text not in values]
        values.update(zip(fresh, range(len(values) + 1, len(values) + 1 + len(fresh)), strict=True))
        self._lines += len(texts)
        self._codes.append((lines, np.fromiter(map(values.__getitem__, texts), np.uint32, len(texts))))
        few = len(values) <= FEW or len(values) * REPEATED <= self._lines
        return few and (not fresh or max(map(len, fresh)) <= LONGEST)

    def column(self, lines: int) -> Column:
        """It, for so many lines."""
        dense = np.zeros(lines, np.min_scalar_type(len(self.values)))
        for places, codes in self._codes:
            dense[places] = codes
        return Column(list(self.values), dense)


class Gatherer:
    """Makes columns of rows as they come, many after many."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._wide: set[str] = set()

    def add(self, rows: Iterable[Rows]) -> None:
        """More lines."""
        for lines, columns in rows:
            for name, texts in columns.items():
                if name in self._wide:
                    continue
                column = self._open.get(name)
                if column is None and len(self._open) < MOST:
                    column = self._open[name] = _Open()
                if column is None or not column.add(lines, texts):
                    self._open.pop(name, None)
                    self._wide.add(name)

    def finish(self, lines: int) -> tuple[dict[str, Column], list[str]]:
        """The columns of so many lines by their names, and the fields that have none."""
        return {name: column.column(lines) for name, column in self._open.items()}, sorted(self._wide)


def pack_values(column: Column) -> bytes:
    """A column's values, and how many lines have each."""
    counts = column.counts()
    return _pack(_values_encoder.encode([(value, counts.get(value, 0)) for value in column.values]))


def unpack_values(packed: bytes) -> dict[str, int]:
    """How many lines have each value, in the order of their codes. Raises `zstandard.ZstdError` if it is damaged."""
    return dict(_values.decode(_unpack(packed)))


def pack_codes(column: Column) -> bytes:
    """A column's codes."""
    return bytes([column.codes.itemsize]) + _pack(shuffled(column.codes))


def unpack_codes(packed: bytes) -> npt.NDArray[np.unsignedinteger]:
    """The codes again. Raises `zstandard.ZstdError` if they are damaged."""
    kind: np.dtype[np.unsignedinteger] = np.dtype(f"u{packed[0]}")
    return unshuffled(_unpack(packed[1:]), kind)


_values_encoder = msgspec.msgpack.Encoder()
_values = msgspec.msgpack.Decoder(list[tuple[str, int]])


def _pack(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(content)


def _unpack(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(packed)


def pack_numbers(numbers: Numbers) -> bytes:
    """Numbers that are near their neighbours, as bytes."""
    steps = np.diff(numbers, prepend=np.int64(0))
    return _pack(shuffled(steps))


def unpack_numbers(packed: bytes) -> Numbers:
    """The numbers again. Raises `zstandard.ZstdError` if they are damaged."""
    steps = unshuffled(_unpack(packed), np.dtype(np.int64))
    return np.cumsum(steps, dtype=np.int64)


def shuffled(numbers: npt.NDArray[np.generic]) -> bytes:
    """All first bytes, then all second ones, and so on: alike beside alike, which compresses better."""
    return np.ascontiguousarray(numbers.view(np.uint8).reshape(-1, numbers.itemsize).T).tobytes()


def unshuffled(content: bytes, kind: np.dtype[Kind]) -> npt.NDArray[Kind]:
    """The numbers again."""
    rows = np.frombuffer(content, np.uint8).reshape(kind.itemsize, -1)
    return np.ascontiguousarray(rows.T).view(kind).reshape(-1)
