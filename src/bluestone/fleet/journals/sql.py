"""What the journals in SQLite and PostgreSQL have in common: all but how to connect, begin and end.

Queries are in the SQL that both have, with `?` for values. The row in `head` is the lock: whoever writes has it, so
entries are numbered without gaps, and an epoch that was found valid stays so until the transaction ends.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

import msgspec

from bluestone.fleet.controller.chain import Break, Head, Link, check, follow
from bluestone.fleet.controller.fence import Fence
from bluestone.fleet.controller.journal import Contents, Entry
from bluestone.fleet.controller.lease import Fenced, Holder, Lease, as_heir, refusal, takeover
from bluestone.model.event import Event
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem

FIELDS = ("at", "kind", "grp", "server", "message", "data")
"""The columns of an entry that its digest is made of, in that order."""

_COLUMNS = f"sequence, {', '.join(FIELDS)}"
_NO_LIMIT = 1 << 62
_ASKED = 500
"""Servers that one query is about."""

_BATCH = 100
"""Rows that one statement adds: few enough that it fits into a socket's buffer."""

Row = tuple[Any, ...]
Result = TypeVar("Result")
Ask = Callable[[str], list[Row]]


class SqlJournal(ABC):
    """A journal in tables; see `fleet.controller.journal.Journal` for what each method does."""

    NOW: ClassVar[str]
    """Seconds since 1970 by the clock of the database, as an expression."""
    FOR_UPDATE: ClassVar[str] = ""
    """What makes a query lock its rows, where the transaction does not lock all."""
    AS_BYTES: ClassVar[str]
    """How a text is read as its UTF-8, as a format."""
    FROM_JSON: ClassVar[str]
    """A value in a JSON text, as a format of the text and the key."""

    def __init__(self) -> None:
        self.fence = Fence()
        self._alone = threading.RLock()  # one transaction at a time on the one connection

    @abstractmethod
    def close(self) -> None:
        """Let go of the file or connection."""

    @abstractmethod
    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Carry out a statement; all rows of its answer."""

    def _beat(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """As `_rows`, for the lease: at once or not at all, whatever else goes on."""
        return self._rows(query, values)

    @abstractmethod
    def _each(self, query: str) -> Iterator[Row]:
        """The rows of a query, a few at a time, within `_snapshot`."""

    @abstractmethod
    def _write(self, body: Callable[[], Result]) -> Result:
        """Carry out `body` in one transaction. It may be carried out again, if it is not known whether it was."""

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[None]:
        """Read as of one instant, whoever writes meanwhile."""

    def record(self, at: datetime, entries: Iterable[Entry], *, incarnations: int = 0) -> None:  # noqa: D102
        rows = [_row(at, entry) for entry in entries]
        if not rows:
            return
        written: list[Head] = []

        def append() -> None:
            head = self._locked_head()
            if written and self._has(written[-1]):
                return  # an earlier try was carried out, and its answer lost
            self._check_epoch()
            written.append(self._append(head, rows))
            self._never_again(incarnations)

        self._write(append)

    def head(self) -> Head:  # noqa: D102
        ((sequence, digest),) = self._rows("SELECT sequence, digest FROM head")
        return Head(sequence, bytes(digest))

    def verify(self, known: Head | None = None) -> Break | None:  # noqa: D102
        with self._snapshot():
            return check(self._links(), self.head(), known)

    def events(self, *, after: int = 0, limit: int = 1_000_000) -> list[Event]:  # noqa: D102
        rows = self._rows(
            f"SELECT * FROM (SELECT {_COLUMNS} FROM event"  # noqa: S608 - our own words only
            " WHERE sequence > ? ORDER BY sequence DESC LIMIT ?) AS newest ORDER BY sequence",
            (after, limit),
        )
        return [_event(row) for row in rows]

    def last(self, kinds: Sequence[str], *, group: str = "", server: str = "") -> Event | None:  # noqa: D102
        found = self.select(kinds, group=group, server=server, newest=1)
        return found[0] if found else None

    def select(  # noqa: D102
        self, kinds: Sequence[str], *, group: str = "", server: str = "", after: int = 0, newest: int | None = None
    ) -> list[Event]:
        if not kinds:
            return []
        where, values = ["sequence > ?", f"kind IN ({_marks(kinds)})"], [after, *kinds]
        for column, value in (("grp", group), ("server", server)):
            if value:
                # The second half lets the index be used, which has no rows without a name.
                where.append(f"{column} = ? AND {column} <> ''")
                values.append(value)
        query = f"SELECT {_COLUMNS} FROM event WHERE {' AND '.join(where)}"  # noqa: S608 - our own words only
        limit = _NO_LIMIT if newest is None else newest
        return [_event(row) for row in self._rows(f"{query} ORDER BY sequence DESC LIMIT ?", [*values, limit])]

    def newest(self, kinds: Sequence[str], servers: Sequence[str]) -> dict[str, dict[str, Event]]:  # noqa: D102
        found: dict[str, dict[str, Event]] = {}
        for start in range(0, len(servers) if kinds else 0, _ASKED):
            asked = servers[start : start + _ASKED]
            rows = self._rows(
                f"SELECT {_COLUMNS} FROM event WHERE sequence IN (SELECT max(sequence) FROM event"  # noqa: S608
                f" WHERE server IN ({_marks(asked)}) AND server <> '' AND kind IN ({_marks(kinds)})"
                " GROUP BY server, kind)",
                [*asked, *kinds],
            )
            for event in map(_event, rows):
                found.setdefault(event.server, {})[event.kind] = event
        return found

    def next_incarnation(self) -> int:  # noqa: D102
        ((number,),) = self._rows("SELECT next FROM counter WHERE name = 'incarnation'")
        return int(number)

    def generation(self, group: str, image: str, config: ServerConfig, *, keep: bool) -> Generation:  # noqa: D102
        if not keep:
            return self._generation(group, image, config)[0]

        def find_or_make() -> Generation:
            self._locked_head()
            found, known = self._generation(group, image, config)
            if not known:
                self._check_epoch()
                self._add_generation(found)
            return found

        return self._write(find_or_make)

    def generation_number(self, group: str, number: int) -> Generation | None:  # noqa: D102
        rows = self._rows("SELECT image, config FROM generation WHERE grp = ? AND number = ?", (group, number))
        return _generation(group, number, *rows[0]) if rows else None

    def providers(self) -> set[str]:  # noqa: D102
        number = self.FROM_JSON.format("born.data", "generation")
        provider = self.FROM_JSON.format("generation.config", "provider")
        rows = self._rows(
            f"SELECT DISTINCT {provider} FROM event AS born JOIN generation"  # noqa: S608 - our own words only
            f" ON generation.grp = born.grp AND generation.number = CAST({number} AS INTEGER)"
            " WHERE born.kind = 'server.create' AND born.server <> '' AND NOT EXISTS"
            " (SELECT 1 FROM event WHERE server <> '' AND server = born.server AND kind = 'server.destroyed')"
        )
        return {name for (name,) in rows}

    def declare(self, groups: Sequence[Group]) -> None:  # noqa: D102
        self._change(lambda: self._declare(groups))

    def declared(self) -> list[Group]:  # noqa: D102
        rows = self._rows("SELECT text FROM declared ORDER BY grp")
        return [msgspec.json.decode(text, type=Group) for (text,) in rows]

    def forget_group(self, name: str) -> None:  # noqa: D102
        self._change(lambda: self._rows("DELETE FROM declared WHERE grp = ?", (name,)))

    def take(  # noqa: D102
        self, holder: Holder, length: timedelta, *, take_over: bool = False, heir: bool = False
    ) -> Lease:
        former = 0.0

        def decide() -> Lease:
            nonlocal former
            head, before = self._locked_head(), self._lease(self._rows, self.FOR_UPDATE)
            if refused := refusal(before, holder, take_over=take_over, heir=heir):
                raise refused
            mine = before is not None and before.holder.token == holder.token
            leader = as_heir(before, holder) if heir else holder
            epoch = (before.epoch if before else 0) + (not mine)
            if before is not None and not mine:
                former = before.left
            seconds = length.total_seconds()
            self._rows(
                f"UPDATE lease SET epoch = ?, holder = ?, ends = {self.NOW} + ?",  # noqa: S608 - our own words only
                (epoch, msgspec.json.encode(leader).decode(), seconds),
            )
            if message := takeover(before, holder):
                entry = Entry("lease.taken", message=message, data={"epoch": epoch, "host": holder.host})
                self._append(head, [_row(holder.since, entry)])
            return Lease(epoch, leader, seconds, former=former)

        return self._write(decide)

    def renew(self, length: timedelta) -> None:  # noqa: D102
        extend = f"UPDATE lease SET ends = {self.NOW} + ? WHERE epoch = ? RETURNING epoch"  # noqa: S608
        if not self._beat(extend, (length.total_seconds(), self.fence.epoch)):
            raise self._fenced(self._beat)

    def give_back(self) -> None:  # noqa: D102
        self._beat("UPDATE lease SET ends = 0 WHERE epoch = ? RETURNING epoch", (self.fence.epoch,))

    def lease(self) -> Lease | None:  # noqa: D102
        return self._lease(self._rows)

    @contextmanager
    def contents(self) -> Iterator[Contents]:  # noqa: D102
        with self._snapshot():
            rows = self._rows("SELECT grp, number, image, config FROM generation ORDER BY grp, number")
            generations = [_generation(*row) for row in rows]
            yield Contents(self._links(), generations, self.declared(), self.next_incarnation())

    def fill(self, contents: Contents) -> None:  # noqa: D102
        links = list(contents.links)

        def take_in() -> None:
            head = self._locked_head()
            if links and self._has(Head(links[-1].sequence, links[-1].digest)):
                return  # an earlier try was carried out, and its answer lost
            if head.sequence or self._rows("SELECT 1 FROM generation LIMIT 1"):
                raise Problem(
                    "the journal to move to is not empty", mend="move to one that is", left="nothing was moved"
                )
            self._append(head, [tuple(field.decode() for field in link.fields) for link in links])
            for generation in contents.generations:
                self._add_generation(generation)
            self._declare(contents.declared)
            self._never_again(contents.next_incarnation - 1)

        self._write(take_in)

    def _links(self) -> Iterator[Link]:
        fields = ", ".join(self.AS_BYTES.format(field) for field in FIELDS)
        for row in self._each(f"SELECT sequence, {fields}, digest FROM event ORDER BY sequence"):  # noqa: S608
            yield Link(row[0], tuple(bytes(field) for field in row[1:-1]), bytes(row[-1]))

    def _locked_head(self) -> Head:
        ((sequence, digest),) = self._rows(f"SELECT sequence, digest FROM head{self.FOR_UPDATE}")  # noqa: S608
        return Head(sequence, bytes(digest))

    def _check_epoch(self) -> None:
        """Raises `Fenced` if this journal led, and another does. The head is locked."""
        if self.fence.epoch and self._rows("SELECT epoch FROM lease") != [(self.fence.epoch,)]:
            raise self._fenced(self._rows)

    def _lease(self, ask: Ask, lock: str = "") -> Lease | None:
        ((epoch, holder, ends, now),) = ask(f"SELECT epoch, holder, ends, {self.NOW} FROM lease{lock}")  # noqa: S608
        if not epoch:
            return None
        return Lease(epoch, msgspec.json.decode(holder, type=Holder), max(0.0, ends - now), returned=ends == 0)

    def _fenced(self, ask: Ask) -> Problem:
        lease = self._lease(ask)
        if lease is None:
            return Problem("the journal has forgotten who leads", mend="look whether it is the right one")
        return Fenced(lease)

    def _has(self, head: Head) -> bool:
        return bool(self._rows("SELECT 1 FROM event WHERE sequence = ? AND digest = ?", (head.sequence, head.digest)))

    def _append(self, head: Head, rows: Sequence[tuple[str, ...]]) -> Head:
        chained = []
        for row in rows:
            head = follow(head, tuple(field.encode() for field in row))
            chained.append((head.sequence, *row, head.digest))
        self._insert(f"event ({_COLUMNS}, digest)", chained)
        self._rows("UPDATE head SET sequence = ?, digest = ?", (head.sequence, head.digest))
        return head

    def _never_again(self, incarnation: int) -> None:
        if incarnation:
            raised = "UPDATE counter SET next = ? WHERE name = 'incarnation' AND next < ?"
            self._rows(raised, (incarnation + 1, incarnation + 1))

    def _generation(self, group: str, image: str, config: ServerConfig) -> tuple[Generation, bool]:
        """The generation, and whether it is known already."""
        rows = self._rows(
            "SELECT number FROM generation WHERE grp = ? AND image = ? AND digest = ?", (group, image, config.digest())
        )
        if rows:
            return Generation(group, rows[0][0], Digest(image), config), True
        ((highest,),) = self._rows("SELECT coalesce(max(number), 0) FROM generation WHERE grp = ?", (group,))
        return Generation(group, highest + 1, Digest(image), config), False

    def _add_generation(self, new: Generation) -> None:
        text = msgspec.json.encode(new.config, order="deterministic").decode()
        values = (new.group, new.number, new.image, text, new.config.digest())
        self._rows("INSERT INTO generation (grp, number, image, config, digest) VALUES (?, ?, ?, ?, ?)", values)

    def _declare(self, groups: Sequence[Group]) -> None:
        rows = {
            group.name: (group.name, msgspec.json.encode(group, order="deterministic").decode()) for group in groups
        }
        self._insert(
            "declared (grp, text)", list(rows.values()), " ON CONFLICT (grp) DO UPDATE SET text = excluded.text"
        )

    def _insert(self, into: str, rows: Sequence[Row], otherwise: str = "") -> None:
        """Add rows, many in each statement: a client that is stopped between the messages of one statement would keep
        its locks for ever."""
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            values = ", ".join([f"({_marks(batch[0])})"] * len(batch))
            statement = f"INSERT INTO {into} VALUES {values}{otherwise}"  # noqa: S608 - our own words only
            self._rows(statement, [value for row in batch for value in row])

    def _change(self, body: Callable[[], object]) -> None:
        def change() -> None:
            self._locked_head()
            self._check_epoch()
            body()

        self._write(change)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _row(at: datetime, entry: Entry) -> tuple[str, ...]:
    data = msgspec.json.encode(entry.data).decode()
    return (at.isoformat(), *(_plain(text) for text in (entry.kind, entry.group, entry.server, entry.message)), data)


def _plain(text: str) -> str:
    """A text that every database takes: what programs print may have bytes in it that are no text."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _event(row: Row) -> Event:
    sequence, at, kind, group, server, message, data = row
    return Event(sequence, datetime.fromisoformat(at), kind, group, server, message, msgspec.json.decode(data))


def _generation(group: str, number: int, image: str, config: str) -> Generation:
    return Generation(group, number, Digest(image), msgspec.json.decode(config, type=ServerConfig))
