"""Reads lines of a segment, and no more of them than a query can find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np

from bluestone.logs.query.entry import Entry, holds
from bluestone.logs.query.nodes import And, Leaf, Node
from bluestone.logs.store.columns import Numbers
from bluestone.logs.store.index import ANYWHERE
from bluestone.logs.store.segment import Segment

FEW = 8
"""Lines of a block that are looked at one by one."""


def found_in_block(
    segment: Segment, number: int, lines: Numbers | None, node: Node, *, exact: bool
) -> Iterator[tuple[int, Entry]]:
    """Those of some lines of a block (or of all) that a query finds, with their places in the segment.

    With `exact` the query is known to find them. Raises `Damaged`.
    """
    block = segment.block(number)
    base = int(segment.block_lines[number])
    content: dict[int, bytes] | list[bytes] = []
    if not exact and (pieces := needed(node)):
        content = block.lines_with(*_rarest(segment, number, node, pieces))
        if len(content) <= FEW and (lines is None or len(lines) == len(block)):
            yield from _few(segment, base, content, node)
            return
        having = np.fromiter(content, np.int64, len(content)) + base
        lines = having if lines is None else np.intersect1d(lines, having, assume_unique=True)
        if len(lines) == 0:
            return
    content = content or block.lines
    lines = np.arange(base, base + len(block)) if lines is None else lines
    spans = np.searchsorted(segment.span_firsts, lines, side="right") - 1
    for line, at, span in zip(lines.tolist(), segment.at_of(lines).tolist(), spans.tolist(), strict=True):
        entry = Entry(segment.identities[span], at, content[line - base])
        if exact or holds(node, entry):
            yield line, entry


def by_blocks(segment: Segment, lines: Numbers) -> tuple[Numbers, list[Numbers]]:
    """The blocks that hold some lines (ascending), and those lines of each."""
    blocks, firsts = np.unique(segment.blocks_of(lines), return_index=True)
    return blocks, np.split(lines, firsts[1:]) if len(lines) else []


def _few(segment: Segment, base: int, content: Mapping[int, bytes], node: Node) -> Iterator[tuple[int, Entry]]:
    """What a query finds of a few lines: one by one, which takes less time than all at once."""
    for place, original in content.items():
        line = base + place
        entry = Entry(segment.identities[segment.span_of(line)], segment.time_of(line), original)
        if holds(node, entry):
            yield line, entry


def _rarest(segment: Segment, number: int, node: Node, pieces: Sequence[bytes]) -> tuple[bytes, int]:
    """The piece that a block is best searched for, and the slice of the block in which it is."""
    words = [word for word in needed_words(node) if word in pieces and segment.indexes(word)]
    if not words:
        return max(pieces, key=len), ANYWHERE
    rarest = words[0] if len(words) == 1 else min(words, key=lambda word: len(segment.places_of(word).blocks))
    return rarest, segment.places_of(rarest).slice_in(number)


@lru_cache(maxsize=64)
def needed_words(node: Node) -> tuple[bytes, ...]:
    """Words that the message of each line has that a query finds."""
    match node:
        case Leaf("message", test):
            return test.words
        case And(parts):
            return tuple(word for part in parts for word in needed_words(part))
    return ()


@lru_cache(maxsize=64)
def needed(node: Node) -> tuple[bytes, ...]:
    """Pieces that the message of each line has that a query finds."""
    match node:
        case Leaf("message", test):
            return test.pieces
        case And(parts):
            return tuple(piece for part in parts for piece in needed(part))
    return ()
