"""The journal in one SQLite file: for one machine, with nothing to run.

WAL mode with `synchronous = FULL`: what `record` returned from survives a crash of the machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from bluestone.fleet.controller.journal import Unreachable
from bluestone.fleet.journals.migrations import migrate
from bluestone.fleet.journals.sql import Result, Row, SqlJournal


class SqliteJournal(SqlJournal):
    """One project's journal. `path` is its file; it is made if missing."""

    NOW = "((julianday('now') - 2440587.5) * 86400.0)"
    AS_BYTES = "CAST({} AS BLOB)"
    FROM_JSON = "json_extract({}, '$.{}')"

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            # Autocommit: each transaction is begun and ended by name, in `_write`.
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db, path)
        except sqlite3.Error as error:
            raise Unreachable(
                f"the journal {path} cannot be used: {error}",
                mend="free some space, or move the file away: servers are observed, not looked up there",
            ) from error

    def close(self) -> None:  # noqa: D102
        self._db.close()

    def renew(self, length: timedelta) -> None:
        """As the port says. Not flushed: after a crash of the machine nobody holds a lease."""
        with self._alone:
            self._db.execute("PRAGMA synchronous = NORMAL")
            try:
                super().renew(length)
            finally:
                self._db.execute("PRAGMA synchronous = FULL")

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        with _said():
            return self._db.execute(query, values).fetchall()

    def _each(self, query: str) -> Iterator[Row]:
        with _said():
            yield from self._db.execute(query)

    def _write(self, body: Callable[[], Result]) -> Result:
        with self._alone, self._transaction("BEGIN IMMEDIATE", "COMMIT"):
            return body()

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        with self._alone, self._transaction("BEGIN", "ROLLBACK"):
            yield

    @contextmanager
    def _transaction(self, begin: str, end: str) -> Iterator[None]:
        with _said():
            self._db.execute(begin)
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute(end)


@contextmanager
def _said() -> Iterator[None]:
    """What SQLite says, in words that help."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unreachable(
            f"the journal cannot be used: {error}",
            mend="free some space on the disk, or restore the file from a copy; then run the command again",
            left="nothing that was not recorded has been done",
        ) from error
