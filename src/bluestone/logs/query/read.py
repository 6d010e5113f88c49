"""Reads lines of a segment, and no more of them than a query can find."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import numpy as np

from bluestone.logs.query.entry import Entry, holds
from bluestone.logs.query.nodes import And, Leaf, Node
from bluestone.logs.query.pick import Picked
from bluestone.logs.store.columns import Numbers
from bluestone.logs.store.segment import Segment
from bluestone.logs.store.words import written_as_it_is


def found_in_block(
    segment: Segment, number: int, lines: Numbers, picked: Picked, node: Node
) -> Iterator[tuple[int, Entry]]:
    """Those of some lines of a block that a query finds, with their places in the segment. Raises `Damaged`."""
    content = segment.block(number)
    base = int(segment.block_lines[number])
    if not picked.exact and (pieces := needed(node)):
        plain = bool(segment.block_plain[number])
        lines = lines[np.isin(lines - base, lines_with(content, max(pieces, key=len), plain=plain))]
    spans = np.searchsorted(segment.span_firsts, lines, side="right") - 1
    for line, at, span in zip(lines.tolist(), segment.at_of(lines).tolist(), spans.tolist(), strict=True):
        entry = Entry(segment.identities[span], at, content[line - base])
        if picked.exact or holds(node, entry):
            yield line, entry


def needed(node: Node) -> tuple[bytes, ...]:
    """Pieces that the message of each line has that a query finds."""
    match node:
        case Leaf("message", test):
            return test.pieces
        case And(parts):
            return tuple(piece for part in parts for piece in needed(part))
    return ()


def lines_with(content: list[bytes], piece: bytes, *, plain: bool) -> list[int]:
    """The lines of a block that may have a piece in their message; of a plain block found by going over it at once."""
    if not plain:
        lowered = [line.lower() for line in content]
        return [number for number, line in enumerate(lowered) if piece in line or not written_as_it_is(line)]
    whole = b"\n".join(content).lower()
    found: list[int] = []
    place = whole.find(piece)
    ends = list(accumulate([len(line) + 1 for line in content])) if place >= 0 else []
    while place >= 0:
        number = bisect_right(ends, place)
        found.append(number)
        place = whole.find(piece, ends[number])
    return found
