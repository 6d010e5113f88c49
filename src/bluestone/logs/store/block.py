"""A block: lines that are compressed together, and which of them have a piece of text."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cached_property

from bluestone.logs.store.words import written_as_it_is

BY_NEWLINE, BY_LENGTH = b"\n", b"#"


def joined(lines: Sequence[bytes]) -> bytes:
    """The content of a block: lines with newlines between them, or their lengths first if one has a newline."""
    content = b"\n".join(lines)
    if content.count(b"\n") == len(lines) - 1:
        return BY_NEWLINE + content
    return BY_LENGTH + struct.pack(f"<{len(lines)}I", *map(len, lines)) + b"".join(lines)


class Block:
    """The lines of a block, from its content. With `plain`, messages stand in it as they are (`written_as_it_is`)."""

    def __init__(self, content: bytes, count: int, *, plain: bool) -> None:
        self._content, self._count = content, count
        self._plain = plain and content[:1] == BY_NEWLINE

    def __len__(self) -> int:
        return self._count

    @cached_property
    def lines(self) -> list[bytes]:
        """All of them."""
        if self._content[:1] == BY_NEWLINE:
            return self._content[1:].split(b"\n")
        place, lines = 1 + 4 * self._count, []
        for length in struct.unpack_from(f"<{self._count}I", self._content, 1):
            lines.append(self._content[place : place + length])
            place += length
        return lines

    @cached_property
    def _lowered(self) -> bytes:
        return self._content.lower()

    def lines_with(self, piece: bytes) -> dict[int, bytes]:
        """Lines that may have a piece (small letters, no newline) in their message, by their places, ascending."""
        if not self._plain:
            lowered = [line.lower() for line in self.lines]
            may = [piece in line or not written_as_it_is(line) for line in lowered]
            return {number: line for number, line in enumerate(self.lines) if may[number]}
        # Gone over at once, and lines counted only up to where it is found.
        whole = self._lowered
        found: dict[int, bytes] = {}
        counted, number, place = 1, 0, whole.find(piece, 1)
        while place >= 0:
            number += whole.count(b"\n", counted, place)
            counted = whole.find(b"\n", place)
            end = counted if counted >= 0 else len(whole)
            found[number] = self._content[whole.rfind(b"\n", 0, place) + 1 : end]
            place = whole.find(piece, counted) if counted >= 0 else -1
        return found
