"""Finds lines, those of servers long gone like any others; works whether a receiver runs or not."""

from __future__ import annotations

import heapq
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from bluestone.logs.audit import Counted, counted
from bluestone.logs.query.asked import Query
from bluestone.logs.query.conditions import Exact
from bluestone.logs.query.entry import Entry, holds, holds_of
from bluestone.logs.query.nodes import Leaf, Node
from bluestone.logs.query.pick import pick
from bluestone.logs.query.read import found_in_block
from bluestone.logs.query.tail import Arrived, Missed, Position, Tail, resumed
from bluestone.logs.store.database import connect
from bluestone.logs.store.parts import Damaged
from bluestone.logs.store.segment import Segment
from bluestone.logs.store.tally import Tally
from bluestone.logs.store.view import Log, View, view
from bluestone.logs.store.wal import Frame, Share
from bluestone.model.record import Identity, Record

POLL = 0.1
"""Seconds between looks for new lines."""


class Writer(Struct, frozen=True):
    """A server that may write, or once did.

    `lines` are stored; `goodbye` is how many lines it said it had sent, if that was its last word.
    """

    identity: Identity
    lines: int
    goodbye: int | None


class Place(NamedTuple):
    """Where a line stands in the order of time: lines of one instant in the order of arrival."""

    at: int
    source: str
    line: int


Found = tuple[Place, Entry]


class Archive:
    """The reading end of a store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database = connect(directory)
        self._database.execute("PRAGMA query_only = ON")
        self._segments: dict[str, Segment] = {}
        self._identities: dict[int, Identity] = {}
        self.damaged: list[str] = []
        """Segments that could not be read, by the last search."""

    def search(self, query: Query) -> Iterator[Record]:
        """The lines a query asks for, the oldest first. Raises `Problem` (a pattern that is none)."""
        node = query.node
        return self._searched(query, node)

    def follow(self, query: Query, done: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """What `search` finds, then every line as it arrives, each once, until `done()` or for ever.

        `done` is asked about every `POLL` seconds; what had arrived by then still comes. Raises `Problem`.
        """
        node = query.node
        return self._follow(query, node, done)

    def arrivals(self, query: Query, after: Position | None = None) -> Arrivals:
        """What arrives from now on, or arrived since a position. Raises `Problem`."""
        return Arrivals(self, self._directory, self._database, query, after)

    def last_lines(self, server: str, count: int) -> Sequence[Record]:
        """The newest lines of a server, the oldest of them first."""
        return tuple(self.search(Query(server=server, limit=count)))

    def endings(self, servers: Collection[str], count: int) -> dict[str, Sequence[Record]]:
        """The lines of each of these servers that came last, the oldest of them first: one walk for all of them."""
        now = self.view()
        try:
            nearest = {server: Nearest(count, newest=True) for server in servers}
            for log in now.logs:
                for server, found in self._last_in_log(log, servers, count):
                    nearest[server].offer(found)
            best = {server: each.found() for server, each in nearest.items()}
        finally:
            now.close()
        return {
            # Only the log is walked for all. In segments a server's lines are found by its name.
            server: tuple(map(_record, found))
            if not now.segments or len(found) == count
            else self.last_lines(server, count)
            for server, found in best.items()
        }

    def _last_in_log(self, log: Log, servers: Collection[str], count: int) -> Iterator[tuple[str, Found]]:
        """What is in the last frames of each server that have `count` lines of it between them."""
        held: dict[str, deque[tuple[Share, Frame]]] = {server: deque() for server in servers}
        lines = dict.fromkeys(servers, 0)
        for frame in log.frames():
            for share in frame.shares:
                name = self.identity(share.server).server
                if name in held:
                    held[name].append((share, frame))
                    lines[name] += share.lines
                    while lines[name] - held[name][0][0].lines >= count:
                        lines[name] -= held[name].popleft()[0].lines
        for server, frames in held.items():
            node = Leaf("server", Exact(server))
            for _, frame in frames:
                for found in in_frame(self.identity, log.number, frame, Query(), node):
                    yield server, found

    def said_goodbye(self, server: str) -> bool:
        """Whether all that a server had to say is here: its goodbye came last, and no line is missing."""
        return any(writer.goodbye is not None and writer.lines >= writer.goodbye for writer in self.writers(server))

    def counted(self, server: str) -> list[Counted]:
        """What a server's lines come to, for its account: without reading those that are sealed. Raises `Problem`."""
        now, query = self.view(), Query(server=server)
        try:
            found: list[Counted] = []
            for file, segment in now.segments.items():
                for place, identity in enumerate(segment.identities):
                    if identity.server == server:
                        read = self._guarded(file, in_segment(file, segment, query, query.node))
                        found.append(segment.counted(place) or counted(entry.original for _, entry in read))
            fresh = (entry for log in now.logs for _, entry in in_log(self.identity, log, query, query.node))
            return [*found, counted(entry.original for entry in fresh)]
        finally:
            now.close()

    def writers(self, server: str | None = None) -> Sequence[Writer]:
        """All servers that ever had a token (or the one of that name), by name."""
        while True:
            now = self.view()
            rows = self._database.execute(
                'SELECT id, lines, goodbye, project, name, "group", generation, image FROM servers'
                " WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
                (server,),
            ).fetchall()
            tallies = {row[0]: Tally(row[1], row[2]) for row in rows}
            for log in now.logs:
                for frame in log.frames():
                    for share in frame.shares:
                        if share.server in tallies:
                            tallies[share.server] = tallies[share.server].after(share)
            through = int(self._database.execute("SELECT through FROM sealed").fetchone()[0])
            now.close()
            if through == now.through:  # else lines may have been counted twice
                return tuple(Writer(Identity(*row[3:]), *tallies[row[0]]) for row in rows)

    def view(self) -> View:
        """What the store holds now. Raises `Problem`."""
        now = view(self._directory, self._database, self._segments)
        self._segments = now.segments
        self.damaged = now.damaged
        return now

    def identity(self, server: int) -> Identity:
        """Who a server is, by its id in the store."""
        if server not in self._identities:
            row = self._database.execute(
                'SELECT project, name, "group", generation, image FROM servers WHERE id = ?', (server,)
            ).fetchone()
            self._identities[server] = Identity(*row) if row else Identity("", f"unknown-{server}", "", 0, "")
        return self._identities[server]

    def close(self) -> None:
        """Close the catalogue."""
        self._database.close()

    def entries(self, query: Query, node: Node, now: View) -> Iterator[Found]:
        """What a query finds in a view, in no order; damaged segments are left out and named in `damaged`."""
        for file, segment in now.segments.items():
            yield from self._guarded(file, in_segment(file, segment, query, node))
        for log in now.logs:
            yield from in_log(self.identity, log, query, node)

    def _guarded(self, file: str, found: Iterator[Found]) -> Iterator[Found]:
        try:
            yield from found
        except Damaged:
            self.damaged.append(file)

    def _searched(self, query: Query, node: Node) -> Iterator[Record]:
        now = self.view()
        try:
            yield from self._search(query, node, now)
        finally:
            now.close()

    def _search(self, query: Query, node: Node, now: View) -> Iterator[Record]:
        if query.limit == 0:
            return
        if query.limit is None:
            yield from map(_record, self._all(query, node, now))
        else:
            yield from map(_record, self._nearest(query, node, now, query.limit))

    def _all(self, query: Query, node: Node, now: View) -> Iterator[Found]:
        """Everything, in the order of time, without having all of it in memory: days after days."""
        waiting = sorted(now.segments.items(), key=lambda item: item[1].footer.oldest)
        logs = sorted((found for log in now.logs for found in in_log(self.identity, log, query, node)), key=_place)
        pending: list[Found] = logs
        while waiting or pending:
            limit = waiting[0][1].footer.oldest if waiting else None
            ready = [found for found in pending if limit is None or found[0].at < limit]
            yield from ready
            pending = pending[len(ready) :]
            if waiting:
                file, segment = waiting.pop(0)
                more = self._guarded(file, in_segment(file, segment, query, node))
                pending = sorted([*pending, *more], key=_place)

    def _nearest(self, query: Query, node: Node, now: View, limit: int) -> list[Found]:
        """The newest lines, or the oldest, without looking further than they reach."""
        best = Nearest(limit, newest=query.newest)
        for log in now.logs:
            for found in in_log(self.identity, log, query, node):
                best.offer(found)
        edge: Callable[[Segment], int] = lambda each: each.footer.newest if query.newest else -each.footer.oldest  # noqa: E731
        for file, segment in sorted(now.segments.items(), key=lambda item: -edge(item[1])):
            if best.complete(segment.footer.newest if query.newest else segment.footer.oldest):
                break
            for found in self._guarded(file, in_segment(file, segment, query, node, best.complete)):
                best.offer(found)
        return best.found()

    def _follow(self, query: Query, node: Node, done: Callable[[], bool]) -> Iterator[Record]:
        now = self.view()
        tail = Tail(self._directory, self._database, now)
        try:
            yield from self._search(query, node, now)
            while True:
                last_round = done()
                for fresh in tail.fresh():
                    yield from map(_record, self.arrived(fresh, query, node))
                if last_round:
                    return
                time.sleep(POLL)
        finally:
            tail.close()
            now.close()

    def arrived(self, fresh: Arrived | Missed, query: Query, node: Node) -> Iterator[Found]:
        """What a query finds in what arrived."""
        if isinstance(fresh, Arrived):
            return in_frame(self.identity, fresh.number, fresh.frame, query, node)
        segments = ((file, Segment(self._directory / "days" / file)) for file in fresh.files)
        return iter(sorted((found for each in segments for found in in_segment(*each, query, node)), key=_place))


class Arrivals:
    """Lines as they arrive, for a reader who comes back for more, also after having been away: none is left out.

    One who was away for so long that the log was sealed in between may get lines that it had already.
    """

    LATE = 3_600_000_000
    """Microseconds. Of what was sealed while a reader was away, lines that came later than this after they were written
    are left out: else it would get whole days again."""

    def __init__(
        self, archive: Archive, directory: Path, database: sqlite3.Connection, query: Query, after: Position | None
    ) -> None:
        self._archive, self._query, self._node = archive, query, query.node
        self._begin = after.at - self.LATE if after else 0
        self._sealed: list[str] = []
        if after:
            self._tail, self._sealed = resumed(directory, database, after)
        else:
            now = archive.view()
            self._tail = Tail(directory, database, now)
            for log in now.logs[:-1]:  # the tail has the last one
                log.reader.close()

    def fresh(self, now: int) -> tuple[list[Record], Position]:
        """What came since it was asked last, and the position behind it. `now` is in microseconds since 1970.

        Raises `Problem`.
        """
        found: list[Record] = []
        if self._sealed:
            again = self._archive.arrived(Missed(self._sealed), self._query, self._node)
            found += [_record(each) for each in again if each[0].at >= self._begin]
            self._sealed = []
        for fresh in self._tail.fresh():
            found += map(_record, self._archive.arrived(fresh, self._query, self._node))
        return found, Position(*self._tail.reached, now)

    def close(self) -> None:
        """Close what is open."""
        self._tail.close()


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
    firsts = np.flatnonzero(np.diff(blocks, prepend=-1))
    nearest = (segment.block_newest if query.newest else segment.block_oldest)[blocks[firsts]]
    ends = [*firsts[1:].tolist(), len(lines)]
    for group in np.argsort(-nearest if query.newest else nearest, kind="stable").tolist():
        if complete(int(nearest[group])):
            return
        chosen = lines[firsts[group] : ends[group]]
        for line, entry in found_in_block(segment, int(blocks[firsts[group]]), chosen, picked, node):
            yield Place(entry.at, source, line), entry


class Nearest:
    """The newest or the oldest lines of those that are offered, at most `limit`."""

    def __init__(self, limit: int, *, newest: bool) -> None:
        self._limit, self._newest = limit, newest
        self._best: list[tuple[Rank, int, Found]] = []
        self._offered = 0

    def offer(self, found: Found) -> None:
        """One more."""
        self._offered += 1
        item = (Rank(found[0], newest=self._newest), self._offered, found)
        if len(self._best) < self._limit:
            heapq.heappush(self._best, item)
        elif self._best[0][0] < item[0]:
            heapq.heapreplace(self._best, item)

    def complete(self, at: int) -> bool:
        """Whether no line of that time, or further away, is wanted any more."""
        if len(self._best) < self._limit:
            return False
        last = self._best[0][2][0].at
        return at < last if self._newest else at > last

    def found(self) -> list[Found]:
        """The lines, the oldest first."""
        return sorted((found for _, _, found in self._best), key=_place)


class Rank:
    """A place, the nearer to the wanted end of time the larger."""

    __slots__ = ("newest", "place")

    def __init__(self, place: Place, *, newest: bool) -> None:
        self.place, self.newest = place, newest

    def __lt__(self, other: Rank) -> bool:
        return self.place < other.place if self.newest else other.place < self.place


def _record(found: Found) -> Record:
    place, entry = found
    return entry.record(f"raw;{place.source};{place.line}")


def _place(found: Found) -> Place:
    return found[0]


def _outside(oldest: int, newest: int, begin: int | None, end: int | None) -> bool:
    return (begin is not None and newest < begin) or (end is not None and oldest >= end)
