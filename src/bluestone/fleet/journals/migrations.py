"""Brings a journal of an earlier bluestone to today's schema, in one transaction: all of it or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from bluestone.fleet.controller.chain import Head, follow
from bluestone.model.problem import Problem

VERSION = 3
"""Of the schema, kept in SQLite's `user_version`."""

_FIELDS = ("at", "kind", "grp", "server", "message", "data")
"""Of an entry of schema 2: what its digest is made of."""


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the journal at `path` up to date; make it if it is empty. Raises `Problem` for one that is newer.

    A bluestone of schema 1 that has the journal open can add no entry afterwards: it stops with an error, and whoever
    runs next goes on.
    """
    if _version(db) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)  # another process may have been quicker
        if version > VERSION:
            raise Problem(
                f"the journal {path} was written by a newer bluestone (schema {version})",
                mend="use that version of bluestone, or a newer one",
            )
        if version == 0:
            _script(db, (Path(__file__).parent / "sqlite.sql").read_text())
        else:
            for step in range(version, VERSION):
                STEPS[step](db)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _chain_entries(db: sqlite3.Connection) -> None:
    """Schema 1 to 2: each entry carries its digest. The column can hold nothing else, so the table is made anew."""
    _script(
        db,
        """
        ALTER TABLE event RENAME TO event_1;
        DROP INDEX event_server;
        DROP INDEX event_group;
        CREATE TABLE event (
            sequence INTEGER PRIMARY KEY,
            at       TEXT NOT NULL,
            kind     TEXT NOT NULL,
            grp      TEXT NOT NULL DEFAULT '',
            server   TEXT NOT NULL DEFAULT '',
            message  TEXT NOT NULL DEFAULT '',
            data     TEXT NOT NULL DEFAULT '{}',
            digest   BLOB NOT NULL
        ) STRICT;
        CREATE INDEX event_server ON event (server, kind) WHERE server <> '';
        CREATE INDEX event_group ON event (grp, kind) WHERE grp <> '';
        CREATE TABLE head (
            only     INTEGER PRIMARY KEY CHECK (only = 1),
            sequence INTEGER NOT NULL,
            digest   BLOB NOT NULL
        ) STRICT;
        """,
    )
    head = Head()
    fields = ", ".join(f"CAST({field} AS BLOB)" for field in _FIELDS)
    rows = db.execute(f"SELECT sequence, {fields} FROM event_1 ORDER BY sequence").fetchall()  # noqa: S608
    for sequence, *entry in rows:
        head = follow(Head(sequence - 1, head.digest), tuple(entry))
        db.execute(
            f"INSERT INTO event SELECT sequence, {', '.join(_FIELDS)}, ? FROM event_1 WHERE sequence = ?",  # noqa: S608
            (head.digest, sequence),
        )
    db.execute("INSERT INTO head VALUES (1, ?, ?)", (head.sequence, head.digest))
    db.execute("DROP TABLE event_1")


def _know_the_leader(db: sqlite3.Connection) -> None:
    """Schema 2 to 3: who leads, and an index for what is asked of all groups."""
    _script(
        db,
        """
        CREATE INDEX event_kind ON event (kind);
        CREATE TABLE lease (
            only   INTEGER PRIMARY KEY CHECK (only = 1),
            epoch  INTEGER NOT NULL,
            holder TEXT NOT NULL,
            ends   REAL NOT NULL
        ) STRICT;
        INSERT INTO lease VALUES (1, 0, '', 0);
        """,
    )


def _script(db: sqlite3.Connection, text: str) -> None:
    """Run statements in the transaction that is open (`executescript` would end it)."""
    plain = "\n".join(line.partition("--")[0] for line in text.splitlines())
    for statement in plain.split(";"):
        if statement.strip():
            db.execute(statement)


STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _chain_entries, 2: _know_the_leader}
"""From each schema to the next."""
