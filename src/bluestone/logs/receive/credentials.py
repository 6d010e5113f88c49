"""Who may write lines: each server has a credential of its own, made before it and revoked after it.

Where a server shares this machine's files that is a token; where a network is between, a certificate. Either says only
who its holder is, and nothing can be read with it. The store keeps hashes only, so a stolen store lets nobody write.
"""

from __future__ import annotations

import secrets
import sqlite3
from hashlib import sha256
from pathlib import Path
from threading import Lock

from bluestone.logs.store.database import connect
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

LONGEST_TOKEN = 256

SCHEMA = """
CREATE TABLE IF NOT EXISTS certificates (
    hash BLOB PRIMARY KEY,                  -- SHA-256 of the certificate's DER
    server INTEGER NOT NULL REFERENCES servers
) WITHOUT ROWID
"""
HELD = ("tokens", "certificates")


class Credentials:
    """The tokens of one store. Threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._database = connect(directory)
        self._database.execute(SCHEMA)
        self._lock = Lock()

    def mint(self, identity: Identity) -> str:
        """A new token for a server: 43 characters, 256 random bits.

        Tokens minted before for the same server stay valid until `revoke`: a server whose creation is
        repeated may have started with either. Raises `Problem` if the name belongs to another identity.
        """
        token = secrets.token_urlsafe(32)
        self._give(identity, "tokens", _hash(token))
        return token

    def enrol(self, identity: Identity, certificate: bytes) -> None:
        """Let in who has the key of a certificate (DER), until `revoke`. Raises `Problem` as `mint` does."""
        self._give(identity, "certificates", sha256(certificate).digest())

    def revoke(self, server: str) -> None:
        """Take all credentials of a server back. Its lines stay. Idempotent. Raises `Problem`."""
        try:
            with self._lock:
                for table in HELD:
                    delete = f"DELETE FROM {table} WHERE server IN (SELECT id FROM servers WHERE name = ?)"  # noqa: S608
                    self._database.execute(delete, (server,))
        except sqlite3.Error as error:
            raise Problem(
                f"cannot revoke the log credential of {server}: {error}", mend="free some space, try again"
            ) from error

    def holder(self, token: str) -> int | None:
        """The id, in the store, of the server that holds a token; None if nobody does."""
        if len(token) > LONGEST_TOKEN:
            return None
        return self._held("tokens", _hash(token))

    def certified(self, certificate: bytes) -> int | None:
        """The id, in the store, of the server that a certificate (DER) was issued to; None if it was revoked."""
        return self._held("certificates", sha256(certificate).digest())

    def server(self, name: str) -> int | None:
        """The id, in the store, of a server by its name; None if no token was ever made for it."""
        with self._lock:
            row = self._database.execute("SELECT id FROM servers WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def admitted(self, name: str) -> bool:
        """Whether a server of that name can still send lines: it holds a credential."""
        number = self.server(name)
        return any(self._holds(table, number) for table in HELD)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _held(self, table: str, digest: bytes) -> int | None:
        with self._lock:
            row = self._database.execute(f"SELECT server FROM {table} WHERE hash = ?", (digest,)).fetchone()  # noqa: S608
        return row[0] if row else None

    def _holds(self, table: str, server: int | None) -> bool:
        with self._lock:
            found = self._database.execute(f"SELECT 1 FROM {table} WHERE server = ?", (server,)).fetchall()  # noqa: S608
        return bool(found)

    def _give(self, identity: Identity, table: str, digest: bytes) -> None:
        try:
            with self._lock:
                self._add(identity, table, digest)
        except sqlite3.Error as error:
            raise Problem(
                f"cannot make the log credential of {identity.server}: {error}",
                mend="free some space; nothing was created",
            ) from error

    def _add(self, identity: Identity, table: str, digest: bytes) -> None:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            server = self._enter(identity)
            self._database.execute(f"INSERT INTO {table} (hash, server) VALUES (?, ?)", (digest, server))  # noqa: S608
            self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def _enter(self, identity: Identity) -> int:
        wanted = (identity.project, identity.group, identity.generation, identity.image)
        self._database.execute(
            'INSERT OR IGNORE INTO servers (name, project, "group", generation, image) VALUES (?, ?, ?, ?, ?)',
            (identity.server, *wanted),
        )
        row = self._database.execute(
            'SELECT id, project, "group", generation, image FROM servers WHERE name = ?', (identity.server,)
        ).fetchone()
        if tuple(row[1:]) != wanted:
            raise Problem(
                f"the name {identity.server} is taken by generation {row[3]} of {row[2]}, image {row[4]}",
                mend="give the new server a name of its own: a name is never used again",
            )
        return int(row[0])


def _hash(token: str) -> bytes:
    # A plain hash is enough for 256 random bits: there is nothing to guess, so nothing to slow down.
    return sha256(token.encode(errors="replace")).digest()
