"""A block: lines that are compressed together, and which of them have a piece of text."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bluestone.logs.store.columns import Numbers
from bluestone.logs.store.index import ANYWHERE, bounds
from bluestone.logs.store.joining import BY_NEWLINE, parted
from bluestone.logs.store.words import written_as_it_is


class Block:
    """The lines of a block, from its content (`joining`).

    With `plain`, messages stand in it as they are (`written_as_it_is`).
    """

    def __init__(self, content: bytes, count: int, *, plain: bool) -> None:
        self._content, self._count = content, count
        self._plain = plain and content[:1] == BY_NEWLINE

    def __len__(self) -> int:
        return self._count

    @cached_property
    def lines(self) -> list[bytes]:
        """All of them."""
        return parted(self._content, self._count)

    @cached_property
    def _lowered(self) -> bytes:
        return self._content.lower()

    @cached_property
    def _newlines(self) -> Numbers:
        """Where they are: before each line."""
        return np.flatnonzero(np.frombuffer(self._content, np.uint8) == ord(BY_NEWLINE))

    def lines_with(self, piece: bytes, part: int = ANYWHERE) -> dict[int, bytes]:
        """Lines that may have a piece (small letters, no newline) in their message, by their places, ascending.

        `part` is the slice (`index`) in which it begins, if it begins in one only.
        """
        if not self._plain:
            lowered = [line.lower() for line in self.lines]
            may = [piece in line or not written_as_it_is(line) for line in lowered]
            return {number: line for number, line in enumerate(self.lines) if may[number]}
        begin, text = 1, self._lowered[1:] if part == ANYWHERE else b""
        if part != ANYWHERE:
            first, end = bounds(part, len(self._content))
            begin = self._content.rfind(BY_NEWLINE, 0, first + 1) + 1
            text = self._content[begin : self._end_of_line(end - 1)].lower()
        found: dict[int, bytes] = {}
        place = text.find(piece)
        while place >= 0:
            number = int(np.searchsorted(self._newlines, begin + place)) - 1
            end = self._end_of_line(begin + place)
            found[number] = self._content[int(self._newlines[number]) + 1 : end]
            place = text.find(piece, end - begin)
        return found

    def _end_of_line(self, place: int) -> int:
        end = self._content.find(BY_NEWLINE, place)
        return end if end >= 0 else len(self._content)
