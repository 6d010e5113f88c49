"""The file that holds log lines and their writers' credentials: one SQLite database per project."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem

VERSION = 1
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
    lines INTEGER NOT NULL DEFAULT 0,   -- stored, without goodbyes
    goodbye INTEGER,                    -- the count in its goodbye, while that is its last record
    dictionary BLOB                     -- its first lines, with which the others are compressed
);
CREATE TABLE IF NOT EXISTS tokens (
    hash BLOB PRIMARY KEY,
    server INTEGER NOT NULL REFERENCES servers
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lines (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- in the order of arrival, never used again
    server INTEGER NOT NULL REFERENCES servers,
    at INTEGER NOT NULL,                    -- microseconds since 1970, by the server's clock
    key INTEGER NOT NULL,                   -- 64 bits of the cursor's BLAKE2b hash
    severity INTEGER NOT NULL,
    unit TEXT NOT NULL,
    message TEXT NOT NULL,
    original BLOB NOT NULL                  -- the whole line as it came, compressed
);
CREATE UNIQUE INDEX IF NOT EXISTS lines_once ON lines (server, at, key);
CREATE INDEX IF NOT EXISTS lines_by_time ON lines (at, server);
"""


def connect(directory: Path) -> sqlite3.Connection:
    """Open a store for reading and writing, made if missing. Statements outside BEGIN commit by themselves.

    Many processes may have it open, and read while one of them writes (write-ahead log); what is committed
    survives a crash of the machine (synchronous=FULL). Raises `Problem`.
    """
    path = private_directory(directory) / "lines.sqlite3"
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise Problem(
                f"the log store {path} has format {version}; this bluestone knows format {VERSION}",
                mend="use the bluestone that wrote it, or a newer one",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    except sqlite3.Error as error:
        raise Problem(
            f"cannot open the log store {path}: {error}",
            mend="free some space, make it writable for you; if it is damaged, move it away and keep it",
        ) from error
    return connection
