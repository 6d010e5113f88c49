"""Finds lines, those of servers long gone like any others; works whether a receiver runs or not."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from bluestone.logs.audit import Counted, counted
from bluestone.logs.query.arrivals import Arrivals
from bluestone.logs.query.asked import Query
from bluestone.logs.query.conditions import Exact
from bluestone.logs.query.found import Found, Nearest, place_of, record_of
from bluestone.logs.query.nodes import Leaf, Node
from bluestone.logs.query.scan import in_frame, in_log, in_segment
from bluestone.logs.query.tail import Arrived, Missed, Tail
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

    def arrivals(self, query: Query, after: str | None = None) -> Arrivals:
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
            server: tuple(map(record_of, found))
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
            yield from map(record_of, self._all(query, node, now))
        else:
            yield from map(record_of, self._nearest(query, node, now, query.limit))

    def _all(self, query: Query, node: Node, now: View) -> Iterator[Found]:
        """Everything, in the order of time, without having all of it in memory: days after days."""
        waiting = sorted(now.segments.items(), key=lambda item: item[1].footer.oldest)
        logs = sorted((found for log in now.logs for found in in_log(self.identity, log, query, node)), key=place_of)
        pending: list[Found] = logs
        while waiting or pending:
            limit = waiting[0][1].footer.oldest if waiting else None
            ready = [found for found in pending if limit is None or found[0].at < limit]
            yield from ready
            pending = pending[len(ready) :]
            if waiting:
                file, segment = waiting.pop(0)
                more = self._guarded(file, in_segment(file, segment, query, node))
                pending = sorted([*pending, *more], key=place_of)

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
                    yield from map(record_of, self.arrived(fresh, query, node))
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
        return iter(sorted((found for each in segments for found in in_segment(*each, query, node)), key=place_of))
