"""The catalogue of a log store: its writers, their credentials, and which files hold their lines."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem

FILE = "lines.sqlite3"
VERSION = 2
BUSY_TIMEOUT = 10.0
"""Seconds that a writer waits for another one."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS servers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    "group" TEXT NOT NULL,
    generation INTEGER NOT NULL,
    image TEXT NOT NULL,
    lines INTEGER NOT NULL DEFAULT 0,   -- sealed, shipped by itself, without goodbyes; retention leaves it
    goodbye INTEGER                     -- the count in its goodbye, while that is its last sealed record
);
CREATE TABLE IF NOT EXISTS keeping (    -- how long lines are kept; group '' is all that have no row of their own
    "group" TEXT PRIMARY KEY,
    seconds INTEGER,
    bytes INTEGER                       -- of all groups together, in the row of ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (      -- groups and servers whose lines must not be removed, whatever else holds
    target TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL              -- seconds since 1970
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    hash BLOB PRIMARY KEY,
    server INTEGER NOT NULL REFERENCES servers
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    file TEXT PRIMARY KEY,              -- below `days/`
    first_wal INTEGER NOT NULL,         -- the write-ahead logs whose lines it holds
    last_wal INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    oldest INTEGER NOT NULL,            -- microseconds since 1970
    newest INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sealed (through INTEGER NOT NULL);  -- the last write-ahead log that is in segments
INSERT INTO sealed SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM sealed);
"""

FROM_1 = """
UPDATE servers SET lines = 0, goodbye = NULL;   -- counted again as their lines move
ALTER TABLE lines RENAME TO old_lines;
"""
"""Lines were rows once; the receiver moves them when it opens the store (`moving.py`)."""


def connect(directory: Path) -> sqlite3.Connection:
    """Open a catalogue for reading and writing, made if missing. Statements outside BEGIN commit by themselves.

    Many processes may have it open, and read while one of them writes (write-ahead log); what is committed
    survives a crash of the machine (synchronous=FULL). Raises `Problem`.
    """
    path = private_directory(directory) / FILE
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        version = _version(connection)
        if version not in (0, 1, VERSION):
            raise Problem(
                f"the log store {path} has format {version}; this bluestone knows format {VERSION}",
                mend="use the bluestone that wrote it, or a newer one",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if version != VERSION:
            _bring_up_to_date(connection)
    except sqlite3.Error as error:
        raise Problem(
            f"cannot open the log store {path}: {error}",
            mend="free some space, make it writable for you; if it is damaged, move it away and keep it",
        ) from error
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again: another process may have done it since.
        version = _version(connection)
        statements = {0: SCHEMA, 1: FROM_1 + SCHEMA}.get(version, "")
        for statement in _statements(statements):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """One by one, as `executescript` would commit what was begun."""
    whole: list[str] = []
    rest = ""
    for line in script.splitlines():
        rest += line + "\n"
        if sqlite3.complete_statement(rest):
            whole.append(rest)
            rest = ""
    return whole
