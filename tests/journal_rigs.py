"""Journals of every kind for tests: several at once on one store, and ways to tamper with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

from bluestone.fleet.controller.journal import Journal
from bluestone.fleet.journals.sqlite import SqliteJournal
from postgres_server import PostgresServer

_numbers = count(1)


class Rig(Protocol):
    """One project's store. `open` gives one more journal on it, as another process would have."""

    def open(self) -> Journal: ...
    def tamper(self, statement: str) -> None: ...
    def close(self) -> None: ...


class SqliteRig:
    """A file in a directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "journal.db"
        self._opened: list[Journal] = []

    def open(self) -> Journal:
        """One more journal on the file."""
        self._opened.append(SqliteJournal(self._path))
        return self._opened[-1]

    def tamper(self, statement: str) -> None:
        """Change the file behind the journal's back."""
        with sqlite3.connect(self._path) as db:
            db.execute(statement)
        db.close()

    def close(self) -> None:
        """Let go of the file."""
        for journal in self._opened:
            journal.close()


class PostgresRig:
    """A schema of its own on a server that tests share."""

    def __init__(self, server: PostgresServer) -> None:
        from bluestone.fleet.journals.postgres import PostgresJournal

        self.server = server
        self.project = f"t-{next(_numbers)}"
        self._make = PostgresJournal
        self._opened: list[Journal] = []

    def open(self) -> Journal:
        """One more connection to the schema."""
        self._opened.append(self._make(self.project, self.server.address, patience=5))
        return self._opened[-1]

    def tamper(self, statement: str) -> None:
        """Change the tables behind the journal's back."""
        self.server.execute(statement, self.project)

    def close(self) -> None:
        """Close the connections."""
        for journal in self._opened:
            journal.close()


@contextmanager
def closing(rig: Rig) -> Iterator[Rig]:
    """Close what was opened."""
    try:
        yield rig
    finally:
        rig.close()
