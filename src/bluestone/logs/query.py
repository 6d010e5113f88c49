"""Finds lines, those of servers long gone like any others; works whether a receiver runs or not."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from bluestone.logs.database import connect
from bluestone.logs.ingest import cursor_of
from bluestone.logs.store import Packer
from bluestone.model.problem import Problem
from bluestone.model.record import Identity, Record

EPOCH = datetime.fromtimestamp(0, UTC)
MILDEST = 7
PAGE = 1000
"""Lines per statement: a long search must not hold one, or the write-ahead log could not be folded back."""

POLL = 0.1
"""Seconds between looks for new lines."""

LONGEST_PATTERN = 500
MATCHED_TEXT = 65_536
"""How many characters of a message a regular expression is tried on; plain text is looked for in all."""


@dataclass(frozen=True)
class Query:
    """Which lines. `since` is inclusive, `until` exclusive, both aware; `severity` 0-7 is the mildest wanted.

    `grep` is text to be found in the message, in either case, or a regular expression between slashes
    (`/5\\d\\d/`), also in either case. `limit` keeps the newest lines (`newest`) or the oldest.
    """

    group: str | None = None
    server: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    grep: str | None = None
    severity: int = 7
    limit: int | None = None
    newest: bool = True


@dataclass(frozen=True)
class Writer:
    """A server that may write, or once did.

    `lines` are stored; `goodbye` is how many lines it said it had sent, if that was its last word.
    """

    identity: Identity
    lines: int
    goodbye: int | None


class Conditions(NamedTuple):
    """A WHERE clause in parts, and its values. The SQL is all ours; what people wrote is a value."""

    clauses: tuple[str, ...] = ()
    values: tuple[object, ...] = ()

    def also(self, clause: str, *values: object) -> Conditions:
        """These, and one more."""
        return Conditions((*self.clauses, clause), (*self.values, *values))


class Archive:
    """The reading end of a store."""

    def __init__(self, directory: Path) -> None:
        self._database = connect(directory)
        self._database.execute("PRAGMA query_only = ON")
        self._database.create_function("matches", 2, _matches, deterministic=True)
        self._packers: dict[int, Packer] = {}
        self._identities: dict[int, Identity] = {}

    def search(self, query: Query) -> Iterator[Record]:
        """The lines a query asks for, the oldest first. Raises `Problem` (a pattern that is none)."""
        return self._search(query, conditions(query))

    def follow(self, query: Query, done: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """What `search` finds, then every line as it arrives, each once, until `done()` or for ever.

        `done` is asked about every `POLL` seconds; what had arrived by then still comes. Raises `Problem`.
        """
        return self._follow(query, conditions(query), done)

    def last_lines(self, server: str, count: int) -> Sequence[Record]:
        """The newest lines of a server, the oldest of them first."""
        return tuple(self.search(Query(server=server, limit=count)))

    def said_goodbye(self, server: str) -> bool:
        """Whether all that a server had to say is here: its goodbye came last, and no line is missing."""
        return any(writer.goodbye is not None and writer.lines >= writer.goodbye for writer in self.writers(server))

    def writers(self, server: str | None = None) -> Sequence[Writer]:
        """All servers that ever had a token (or the one of that name), by name."""
        rows = self._database.execute(
            'SELECT project, name, "group", generation, image, lines, goodbye FROM servers'
            " WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
            (server,),
        ).fetchall()
        return tuple(Writer(Identity(*row[:5]), row[5], row[6]) for row in rows)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _search(self, query: Query, where: Conditions) -> Iterator[Record]:
        if query.newest and query.limit is not None:
            yield from reversed(list(self._page_through(where, query.limit, newest_first=True)))
        else:
            yield from self._page_through(where, query.limit, newest_first=False)

    def _follow(self, query: Query, where: Conditions, done: Callable[[], bool]) -> Iterator[Record]:
        seen = self._newest_id()
        yield from self._search(query, where.also("id <= ?", seen))
        while True:
            last_round = done()
            newest = self._newest_id()
            while seen < newest:
                fresh = where.also("id > ? AND id <= ?", seen, newest)
                rows = self._select(fresh, "id", PAGE)
                yield from map(self._record, rows)
                seen = rows[-1].id if len(rows) == PAGE else newest
            if last_round:
                return
            time.sleep(POLL)

    def _page_through(self, where: Conditions, limit: int | None, *, newest_first: bool) -> Iterator[Record]:
        sign, direction = ("<", "DESC") if newest_first else (">", "ASC")
        order = f"at {direction}, id {direction}"
        left = limit if limit is not None else sys.maxsize
        rest = where
        while left > 0:
            page = min(PAGE, left)
            rows = self._select(rest, order, page)
            yield from map(self._record, rows)
            if len(rows) < page:
                return
            rest = where.also(f"(at, id) {sign} (?, ?)", rows[-1].at, rows[-1].id)
            left -= page

    def _select(self, where: Conditions, order: str, limit: int) -> list[Row]:
        rows = self._database.execute(
            "SELECT id, server, at, severity, unit, message, original FROM lines"  # noqa: S608
            f" WHERE {' AND '.join(where.clauses) or 'TRUE'} ORDER BY {order} LIMIT ?",
            (*where.values, limit),
        )
        return [Row(*row) for row in rows.fetchall()]

    def _newest_id(self) -> int:
        return int(self._database.execute("SELECT coalesce(max(id), 0) FROM lines").fetchone()[0])

    def _record(self, row: Row) -> Record:
        if row.server not in self._packers:
            self._learn(row.server)
        original = self._packers[row.server].unpack(row.original)
        return Record(
            cursor=cursor_of(original) or f"raw;{row.id}",
            at=EPOCH + timedelta(microseconds=row.at),
            identity=self._identities[row.server],
            unit=row.unit,
            severity=row.severity,
            message=row.message,
            original=original,
        )

    def _learn(self, server: int) -> None:
        identity = self._database.execute(
            'SELECT project, name, "group", generation, image, dictionary FROM servers WHERE id = ?',
            (server,),
        ).fetchone()
        self._identities[server] = Identity(*identity[:5])
        self._packers[server] = Packer(identity[5])


class Row(NamedTuple):
    """A row of `lines`."""

    id: int
    server: int
    at: int
    severity: int
    unit: str
    message: str
    original: bytes


def conditions(query: Query) -> Conditions:
    """A query in SQL. Raises `Problem` for a pattern that is none."""
    where = Conditions()
    if query.server is not None:
        where = where.also("server = (SELECT id FROM servers WHERE name = ?)", query.server)
    if query.group is not None:
        # The plus keeps SQLite on the index by time, which gives the order: a group has many servers.
        where = where.also('+server IN (SELECT id FROM servers WHERE "group" = ?)', query.group)
    if query.since is not None:
        where = where.also("at >= ?", _micros(query.since))
    if query.until is not None:
        where = where.also("at < ?", _micros(query.until))
    if query.severity < MILDEST:
        where = where.also("severity <= ?", query.severity)
    if query.grep:
        matcher(query.grep)
        where = where.also("matches(?, message)", query.grep)
    return where


@lru_cache(maxsize=8)
def matcher(grep: str) -> Callable[[str], bool]:
    """Whether a message holds what `Query.grep` asks for. Raises `Problem`."""
    if len(grep) > LONGEST_PATTERN:
        raise Problem(
            f"the pattern is {len(grep)} characters long; at most {LONGEST_PATTERN} are taken",
            mend="look for a part of it",
        )
    if not (len(grep) > 2 and grep[0] == grep[-1] == "/"):
        words = re.compile(re.escape(grep), re.IGNORECASE)
        return lambda message: words.search(message) is not None
    try:
        pattern = re.compile(grep[1:-1], re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise Problem(
            f"{grep} is not a regular expression: {error}",
            mend="mend it, or leave the slashes away to look for the text itself",
        ) from error
    return lambda message: pattern.search(message, 0, MATCHED_TEXT) is not None


def _matches(grep: str, message: str) -> bool:
    return matcher(grep)(message)


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
