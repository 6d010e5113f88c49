"""Goes through what a store is made of, and looks no further than a query can find: frames of the log, and segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bluestone.logs.query.asked import Query
from bluestone.logs.query.entry import Entry, holds, holds_of
from bluestone.logs.query.found import Found, Place
from bluestone.logs.query.nodes import Node
from bluestone.logs.query.pick import pick
from bluestone.logs.query.read import found_in_block
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
    picked = pick(node, segment, query.begin, query.end)
    lines = np.flatnonzero(picked.lines)
    if len(lines) == 0:
        return
    source = file.rpartition("/")[2]
    blocks = segment.blocks_of(lines)
    firsts = np.concatenate(([0], np.flatnonzero(blocks[1:] != blocks[:-1]) + 1))
    nearest = (segment.block_newest if query.newest else segment.block_oldest)[blocks[firsts]]
    ends = [*firsts[1:].tolist(), len(lines)]
    for group in np.argsort(-nearest if query.newest else nearest, kind="stable").tolist():
        if complete(int(nearest[group])):
            return
        chosen = lines[firsts[group] : ends[group]]
        for line, entry in found_in_block(segment, int(blocks[firsts[group]]), chosen, picked, node):
            yield Place(entry.at, source, line), entry


def _outside(oldest: int, newest: int, begin: int | None, end: int | None) -> bool:
    return (begin is not None and newest < begin) or (end is not None and oldest >= end)
