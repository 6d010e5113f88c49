"""Goes through what a store is made of, and looks no further than a query can find: frames of the log, and segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bluestone.logs.query.asked import Query
from bluestone.logs.query.entry import Entry, holds, holds_of
from bluestone.logs.query.found import Found, Place
from bluestone.logs.query.nodes import Node
from bluestone.logs.query.pick import blocks_by_words, pick
from bluestone.logs.query.read import by_blocks, found_in_block
from bluestone.logs.store.columns import Numbers
from bluestone.logs.store.segment import Segment
from bluestone.logs.store.view import Log
from bluestone.logs.store.wal import Frame
from bluestone.model.record import Identity


def in_log(identity: Callable[[int], Identity], log: Log, query: Query, node: Node) -> Iterator[Found]:
    """What a query finds in a file of the log, in the order of arrival."""
    for frame in log.frames():
        yield from in_frame(identity, log.number, frame, query, node)


def in_frame(
    identity: Callable[[int], Identity], number: int, frame: Frame, query: Query, node: Node
) -> Iterator[Found]:
    """What a query finds in a frame of the log's file of that number, in the order of arrival."""
    begin, end = query.begin, query.end
    wanted = [
        not _outside(share.oldest, share.newest, begin, end) and holds_of(node, identity(share.server))
        for share in frame.shares
    ]
    if not any(wanted):
        return
    line = frame.end << 20  # behind all of the frames before
    for (share, lines), look in zip(frame.lines(), wanted, strict=True):
        if not look:
            line += len(lines)
            continue
        writer = identity(share.server)
        for stored in lines:
            line += 1
            if _outside(stored.at, stored.at, begin, end):
                continue
            entry = Entry(writer, stored.at, stored.original)
            if holds(node, entry):
                yield Place(stored.at, f"{number:010d}", line), entry


def in_segment(
    file: str, segment: Segment, query: Query, node: Node, complete: Callable[[int], bool] = lambda _: False
) -> Iterator[Found]:
    """What a query finds in a segment, the blocks nearest to its end of time first, until it is complete with those.

    Raises `Damaged`.
    """
    footer = segment.footer
    if _outside(footer.oldest, footer.newest, query.begin, query.end):
        return
    blocks, chosen, exact = _candidates(segment, query, node)
    if len(blocks) == 0:
        return
    source = file.rpartition("/")[2]
    nearest = (segment.block_newest if query.newest else segment.block_oldest)[blocks]
    for group in np.argsort(-nearest if query.newest else nearest, kind="stable").tolist():
        if complete(int(nearest[group])):
            return
        for line, entry in found_in_block(segment, int(blocks[group]), chosen(group), node, exact=exact):
            yield Place(entry.at, source, line), entry


def _candidates(segment: Segment, query: Query, node: Node) -> tuple[Numbers, Callable[[int], Numbers | None], bool]:
    """The blocks in which lines may be found, those lines of the first, second, ... of them, and whether all are found.

    No lines for a block are all of its lines. Raises `Damaged`.
    """
    begin, end, footer = query.begin, query.end, segment.footer
    if (begin is None or begin <= footer.oldest) and (end is None or end > footer.newest):
        whole = blocks_by_words(node, segment)
        if whole is not None:
            return whole, lambda _: None, False
    picked = pick(node, segment, begin, end)
    blocks, pieces = by_blocks(segment, np.flatnonzero(picked.lines))
    return blocks, pieces.__getitem__, picked.exact


def _outside(oldest: int, newest: int, begin: int | None, end: int | None) -> bool:
    return (begin is not None and newest < begin) or (end is not None and oldest >= end)
