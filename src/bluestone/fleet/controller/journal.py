"""The journal: what bluestone did and saw, durable before it is acted on.

SQLite in WAL mode with `synchronous = FULL`: what `record` returned from survives a crash of the machine. Entries are
chained by their digests (chain.py): `verify` finds the first that is not as it was written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from bluestone.fleet.controller.chain import Break, Head, Link, check, follow
from bluestone.fleet.controller.migrations import AS_BYTES, FIELDS, migrate
from bluestone.model.event import Event
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem

_COLUMNS = "sequence, at, kind, grp, server, message, data"


@dataclass(frozen=True)
class Entry:
    """An event that is about to be recorded; see `Event`."""

    kind: str
    group: str = ""
    server: str = ""
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class Journal:
    """One project's journal. `path` is its file; it is made if missing."""

    def __init__(self, path: Path) -> None:
        try:
            # Autocommit: each transaction is begun and ended by name, in `_transaction`.
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db, path)
        except sqlite3.Error as error:
            raise Problem(
                f"the journal {path} cannot be used: {error}",
                mend="free some space, or move the file away: servers are observed, not looked up there",
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def record(self, at: datetime, entries: Iterable[Entry], *, incarnations: int = 0) -> None:
        """Append events, all or none, durably.

        With `incarnations`, the numbers up to and including it are never given out again.
        """
        rows = [
            (at.isoformat(), e.kind, e.group, e.server, e.message, msgspec.json.encode(e.data).decode())
            for e in entries
        ]
        if not rows:
            return
        with self._transaction():
            self._db.execute("UPDATE counter SET next = max(next, ?) WHERE name = 'incarnation'", (incarnations + 1,))
            head, chained = self.head(), []
            for row in rows:
                head = follow(head, tuple(field.encode() for field in row))
                chained.append((head.sequence, *row, head.digest))
            self._db.executemany(
                f"INSERT INTO event (sequence, {', '.join(FIELDS)}, digest)"  # noqa: S608 - our own words only
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                chained,
            )
            self._db.execute("UPDATE head SET sequence = ?, digest = ?", (head.sequence, head.digest))

    def head(self) -> Head:
        """The last entry, by which the journal up to now is known again."""
        return Head(*self._db.execute("SELECT sequence, digest FROM head").fetchone())

    def verify(self, known: Head | None = None) -> Break | None:
        """The first entry that is not as it was written, None if all are. `known` is a head written down earlier.

        Raises `Problem` if the file cannot be read.
        """
        query = f"SELECT sequence, {AS_BYTES}, digest FROM event ORDER BY sequence"  # noqa: S608 - our own words only
        try:
            with self._snapshot():
                rows = self._db.execute(query)
                return check((Link(row[0], tuple(row[1:-1]), row[-1]) for row in rows), self.head(), known)
        except sqlite3.Error as error:
            raise Problem(f"the journal cannot be read: {error}", mend="restore the file from a copy") from error

    def events(self, *, after: int = 0, limit: int = 1_000_000) -> list[Event]:
        """The newest `limit` events with a sequence above `after`, oldest first."""
        rows = self._db.execute(
            f"SELECT * FROM (SELECT {_COLUMNS} FROM event"  # noqa: S608 - our own words only
            " WHERE sequence > ? ORDER BY sequence DESC LIMIT ?) ORDER BY sequence",
            (after, limit),
        ).fetchall()
        return [_event(row) for row in rows]

    def last(self, kinds: Sequence[str], *, group: str = "", server: str = "") -> Event | None:
        """The newest event of one of these kinds, of a group or of a server if given."""
        found = self.select(kinds, group=group, server=server, newest=1)
        return found[0] if found else None

    def select(
        self, kinds: Sequence[str], *, group: str = "", server: str = "", after: int = 0, newest: int = -1
    ) -> list[Event]:
        """Events of these kinds, newest first; `newest` bounds their number."""
        where, values = ["sequence > ?", f"kind IN ({','.join('?' * len(kinds))})"], [after, *kinds]
        for column, value in (("grp", group), ("server", server)):
            if value:
                where.append(f"{column} = ?")
                values.append(value)
        query = f"SELECT {_COLUMNS} FROM event WHERE {' AND '.join(where)}"  # noqa: S608 - our own words only
        rows = self._db.execute(f"{query} ORDER BY sequence DESC LIMIT ?", [*values, newest]).fetchall()
        return [_event(row) for row in rows]

    def next_incarnation(self) -> int:
        """The first number that no server has had."""
        (number,) = self._db.execute("SELECT next FROM counter WHERE name = 'incarnation'").fetchone()
        return int(number)

    def generation(self, group: str, image: str, config: ServerConfig, *, keep: bool) -> Generation:
        """The generation of this image and configuration; a new one gets the group's next number.

        Without `keep` nothing is written: the number is the one that it would get.
        """
        digest = config.digest()
        row = self._db.execute(
            "SELECT number FROM generation WHERE grp = ? AND image = ? AND digest = ?", (group, image, digest)
        ).fetchone()
        if row:
            return Generation(group, row[0], Digest(image), config)
        (highest,) = self._db.execute(
            "SELECT coalesce(max(number), 0) FROM generation WHERE grp = ?", (group,)
        ).fetchone()
        found = Generation(group, highest + 1, Digest(image), config)
        if keep:
            text = msgspec.json.encode(config, order="deterministic").decode()
            with self._transaction():
                self._db.execute(
                    "INSERT INTO generation VALUES (?, ?, ?, ?, ?)",
                    (group, found.number, image, text, digest),
                )
        return found

    def generation_number(self, group: str, number: int) -> Generation | None:
        """A generation by its number."""
        row = self._db.execute(
            "SELECT image, config FROM generation WHERE grp = ? AND number = ?", (group, number)
        ).fetchone()
        if row is None:
            return None
        return Generation(group, number, Digest(row[0]), msgspec.json.decode(row[1], type=ServerConfig))

    def providers(self) -> set[str]:
        """Where servers may still be: the provider of each whose creation was begun, and whose end is not recorded."""
        rows = self._db.execute(
            "SELECT DISTINCT json_extract(generation.config, '$.provider') FROM event AS born JOIN generation"
            " ON generation.grp = born.grp AND generation.number = json_extract(born.data, '$.generation')"
            " WHERE born.kind = 'server.create' AND born.server <> '' AND NOT EXISTS"
            " (SELECT 1 FROM event WHERE server <> '' AND server = born.server AND kind = 'server.destroyed')"
        ).fetchall()
        return {name for (name,) in rows}

    def declare(self, groups: Sequence[Group]) -> None:
        """Remember how these groups are declared."""
        rows = [(group.name, msgspec.json.encode(group, order="deterministic").decode()) for group in groups]
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO declared VALUES (?, ?)", rows)

    def declared(self) -> list[Group]:
        """Every group that was ever declared and not forgotten, as it was last declared."""
        rows = self._db.execute("SELECT text FROM declared ORDER BY grp").fetchall()
        return [msgspec.json.decode(text, type=Group) for (text,) in rows]

    def forget_group(self, name: str) -> None:
        """Drop the declaration of a group that has no servers left. Its generations and events stay."""
        with self._transaction():
            self._db.execute("DELETE FROM declared WHERE grp = ?", (name,))

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Read as of one instant, whoever writes meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise Problem(
                f"the journal cannot be written: {error}",
                mend="free some space on the disk and run the command again",
                left="nothing that was not recorded has been done",
            ) from error


def _event(row: tuple[int, str, str, str, str, str, str]) -> Event:
    sequence, at, kind, group, server, message, data = row
    return Event(sequence, datetime.fromisoformat(at), kind, group, server, message, msgspec.json.decode(data))
