"""The journal in PostgreSQL: for a fleet that several machines lead, one at a time.

A lost connection is made anew. Whether a transaction was carried out whose answer got lost is read from the journal
(sql.py), so nothing is written twice and nothing is taken for written that is not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql

from bluestone.fleet.controller.journal import Unreachable
from bluestone.fleet.journals.address import parameters, shown
from bluestone.fleet.journals.sql import Result, Row, SqlJournal
from bluestone.model.problem import Problem

VERSION = 1
"""Of postgres.sql, kept in the table `version`."""

PATIENCE = 60.0
"""Seconds for which whoever leads tries to reach the database again. Servers go on serving meanwhile."""

RETRY = 0.25
"""Seconds between two tries."""

SETTINGS = {
    # A holder that is stopped in the middle of a transaction must not keep its successor waiting.
    "idle_in_transaction_session_timeout": "500ms",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
}

_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,
    errors.InFailedSqlTransaction,
    errors.ReadOnlySqlTransaction,  # the connection leads to what is a standby now
)
"""Errors that another connection may mend."""


class PostgresJournal(SqlJournal):
    """One project's journal, in a schema of its own; it is made if missing.

    `address` is a URL of libpq's without a password. Raises `Unreachable`; `Problem` if the database cannot be used.
    """

    NOW = "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
    FOR_UPDATE = " FOR UPDATE"
    AS_BYTES = "convert_to({}, 'UTF8')"
    FROM_JSON = "(CAST({} AS json) ->> '{}')"

    def __init__(self, project: str, address: str, password: str | None = None, *, patience: float = PATIENCE) -> None:
        super().__init__()
        self._schema = f"bluestone_{project}"
        self._parameters = parameters(address, password)
        self._where = shown(self._parameters)
        self._patience = patience
        self._failing_since: float | None = None
        self._inside = False
        self._main: psycopg.Connection[Row] | None = None
        self._pulse: psycopg.Connection[Row] | None = None
        self._pulse_alone = threading.Lock()
        self._persist(lambda: _migrate(self._connection(), self._schema, self._where))

    def close(self) -> None:  # noqa: D102
        for connection in (self._main, self._pulse):
            if connection is not None:
                connection.close()

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        def ask() -> list[Row]:
            cursor = self._connection().execute(_own(query), values)
            return cursor.fetchall() if cursor.description else []

        with self._alone:
            return ask() if self._inside else self._persist(ask)

    def _each(self, query: str) -> Iterator[Row]:
        with self._connection().cursor("each") as cursor:
            cursor.itersize = 2000
            yield from cursor.execute(_own(query))

    def _beat(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Over a connection of its own, so that the lease is renewed while another statement waits."""
        with self._pulse_alone:
            try:
                if self._pulse is None:
                    self._pulse = self._connect()
                return self._pulse.execute(_own(query), values).fetchall()
            except psycopg.Error as error:
                if self._pulse is not None:
                    _drop(self._pulse)
                    self._pulse = None
                raise self._unreachable(error) from error

    def _write(self, body: Callable[[], Result]) -> Result:
        def attempt() -> Result:
            with self._transaction():
                return body()

        return self._persist(attempt)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        with self._alone:
            try:
                with self._transaction():
                    self._rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    self._rows("SET LOCAL idle_in_transaction_session_timeout = 0")
                    yield
            except psycopg.Error as error:
                self._let_go()
                raise self._unreachable(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._connection().transaction():
            self._inside = True
            try:
                yield
            finally:
                self._inside = False

    def _persist(self, attempt: Callable[[], Result]) -> Result:
        """The answer to `attempt`, over a new connection if need be. Raises `Unreachable` when patience ends."""
        with self._alone:
            tries = 0
            while True:
                try:
                    answer = attempt()
                except _PASSING as error:
                    self._let_go()
                    now, tries = time.monotonic(), tries + 1
                    since = self._failing_since = self._failing_since or now
                    if tries > 1 and now - since >= (self._patience if self.fence.epoch else 0):
                        raise self._unreachable(error) from error
                    if tries > 1:
                        time.sleep(RETRY)
                except psycopg.Error as error:
                    self._let_go()
                    raise Problem(
                        f"the journal at {self._where} cannot be used: {_said(error)}",
                        mend=f"it needs a database in UTF-8, and a role that may create the schema {self._schema},"
                        " or owns it",
                        left="nothing that was not recorded has been done",
                    ) from error
                else:
                    self._failing_since = None
                    return answer

    def _connection(self) -> psycopg.Connection[Row]:
        if self._main is None:
            self._main = self._connect()
        return self._main

    def _connect(self) -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Row] = psycopg.connect(**self._parameters, autocommit=True)
        try:
            settings = SETTINGS | {"search_path": f'"{self._schema}"'}
            if connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
                settings["synchronous_commit"] = "on"
            for name, value in settings.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        except BaseException:
            _drop(connection)
            raise
        return connection

    def _let_go(self) -> None:
        if self._main is not None:
            _drop(self._main)
            self._main = None

    def _unreachable(self, error: psycopg.Error) -> Unreachable:
        return Unreachable(
            f"the journal at {self._where} cannot be reached: {_said(error)}",
            mend="have the database run and be reached from here, then run the command again: it goes on",
            left="servers are as they were; nothing that was not recorded has been done",
        )


def _migrate(db: psycopg.Connection[Row], schema: str, where: str) -> None:
    """Make the tables, if they are not there, all or none. Raises `Problem` if they are of a newer bluestone."""
    version = _version(db, schema)
    if version == 0:
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (schema,))
            if _version(db, schema) == 0:
                _create(db, schema)
        version = VERSION
    if version > VERSION:
        raise Problem(
            f"the journal at {where} was written by a newer bluestone (schema {version})",
            mend="use that version of bluestone, or a newer one",
        )


def _create(db: psycopg.Connection[Row], schema: str) -> None:
    if db.execute("SHOW server_encoding").fetchone() != ("UTF8",):
        raise errors.InvalidCatalogName("its encoding is not UTF-8")
    if db.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone() is None:
        db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    db.execute(_own((Path(__file__).parent / "postgres.sql").read_text()))
    db.execute("CREATE TABLE version (number integer NOT NULL)")
    db.execute("INSERT INTO version VALUES (%s)", (VERSION,))


def _version(db: psycopg.Connection[Row], schema: str) -> int:
    tables = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'version'"
    if db.execute(tables, (schema,)).fetchone() is None:
        return 0
    row = db.execute(sql.SQL("SELECT number FROM {}").format(sql.Identifier(schema, "version"))).fetchone()
    return int(row[0]) if row else 0


def _own(query: str) -> bytes:
    """A query of our own, in which `?` stands for values."""
    return query.replace("?", "%s").encode()


def _said(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines)[:500] or type(error).__name__


def _drop(connection: psycopg.Connection[Any]) -> None:
    with suppress(psycopg.Error):
        connection.close()
