"""Which lines of a segment a query may find, by its columns and words, before any line is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bluestone.logs.query.entry import OF_IDENTITY
from bluestone.logs.query.nodes import ANY_FIELD, And, Leaf, Node, Not, Or
from bluestone.logs.store.columns import Mask, Numbers
from bluestone.logs.store.segment import Segment


class Picked(NamedTuple):
    """A mask over the lines of a segment. No other line is found; if `exact`, each of them is."""

    lines: Mask
    exact: bool


def pick(node: Node, segment: Segment, since: int | None = None, until: int | None = None) -> Picked:
    """The lines that a query may find between two times (microseconds since 1970; `until` exclusive).

    Raises `Damaged`.
    """
    found = _pick(node, segment)
    late = since is not None and since > segment.footer.oldest
    early = until is not None and until <= segment.footer.newest
    if not (late or early):
        return found
    lines = np.flatnonzero(found.lines)
    at = segment.at_of(lines)
    within = np.ones(len(lines), bool)
    if since is not None:
        within &= at >= since
    if until is not None:
        within &= at < until
    mask = np.zeros(segment.lines, bool)
    mask[lines[within]] = True
    return Picked(mask, found.exact)


def blocks_by_words(node: Node, segment: Segment) -> Numbers | None:
    """The blocks of which any line may be found, where a query asks for words of messages alone; None for any other.

    Much quicker than `pick` where they are few. Raises `Damaged`.
    """
    words = _words_of_messages(node)
    if not words or not all(map(segment.indexes, words)):
        return None
    found = segment.places_of(words[0]).blocks
    for word in words[1:]:
        found = np.intersect1d(found, segment.places_of(word).blocks, assume_unique=True)
    return found


@lru_cache(maxsize=64)
def _words_of_messages(node: Node) -> tuple[bytes, ...] | None:
    """The words that a message must have; None if anything but messages is asked about."""
    match node:
        case Leaf("message", test):
            return test.words
        case And(parts):
            found = [_words_of_messages(part) for part in parts]
            return None if None in found else tuple(word for words in found if words for word in words)
    return None


def _pick(node: Node, segment: Segment) -> Picked:
    match node:
        case Leaf():
            return _by_leaf(node, segment)
        case And(parts):
            return _by_all(parts, segment)
        case Or(parts):
            found = [_pick(part, segment) for part in parts]
            return Picked(np.logical_or.reduce([each.lines for each in found]), all(each.exact for each in found))
        case Not(part):
            inner = _pick(part, segment)
            return Picked(~inner.lines, True) if inner.exact else Picked(_every(segment), False)


def _by_all(parts: Sequence[Node], segment: Segment) -> Picked:
    lines, exact = _every(segment), True
    for part in parts:
        found = _pick(part, segment)
        lines, exact = lines & found.lines, exact and found.exact
        if not lines.any():
            return Picked(lines, True)
    return Picked(lines, exact)


def _by_leaf(leaf: Leaf, segment: Segment) -> Picked:
    field, test = leaf.field, leaf.test
    if field in OF_IDENTITY:
        spans = range(len(segment.footer.spans))
        return Picked(
            segment.spread([test.holds(str(getattr(segment.identity(place), field))) for place in spans]), True
        )
    # The message is made of one of several fields, and hardly ever the same twice: it has no column.
    if field not in ("message", ANY_FIELD):
        if not segment.has(field):
            return Picked(np.full(segment.lines, test.holds(None)), True)
        # Words first: most words of a rare value are nowhere, and then no column need be read.
        blocks = _blocks(leaf, segment)
        if blocks is not None and not blocks.any():
            return Picked(np.zeros(segment.lines, bool), True)
        column = segment.column(field)
        if column is not None:
            return Picked(column.where(test.holds), True)
        return Picked(_every(segment) if blocks is None else _lines(blocks, segment), False)
    blocks = _blocks(leaf, segment)
    if blocks is None:
        return Picked(_every(segment), False)
    return Picked(_lines(blocks, segment), not blocks.any())


def _blocks(leaf: Leaf, segment: Segment) -> Mask | None:
    """The blocks with the words that a leaf needs; None if that says nothing."""
    words = () if leaf.field == "severity" else leaf.test.words
    return segment.blocks_with(words) if words else None


def _lines(blocks: Mask, segment: Segment) -> Mask:
    found = np.zeros(segment.lines, bool)
    ends = segment.block_lines
    for number in np.flatnonzero(blocks).tolist():
        found[ends[number] : ends[number + 1]] = True
    return found


def _every(segment: Segment) -> Mask:
    return np.ones(segment.lines, bool)
