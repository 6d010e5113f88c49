"""Who may write lines: a token per server, made before the server and revoked after it.

A token says only who its holder is. The store keeps hashes only, so a stolen store lets nobody write.
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


class Credentials:
    """The tokens of one store. Threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._database = connect(directory)
        self._lock = Lock()

    def mint(self, identity: Identity) -> str:
        """A new token for a server: 43 characters, 256 random bits.

        Tokens minted before for the same server stay valid until `revoke`: a server whose creation is
        repeated may have started with either. Raises `Problem` if the name belongs to another identity.
        """
        token = secrets.token_urlsafe(32)
        try:
            with self._lock:
                self._add(identity, _hash(token))
        except sqlite3.Error as error:
            raise Problem(
                f"cannot make the log credential of {identity.server}: {error}",
                mend="free some space; nothing was created",
            ) from error
        return token

    def revoke(self, server: str) -> None:
        """Take all tokens of a server back. Its lines stay. Idempotent. Raises `Problem`."""
        delete = "DELETE FROM tokens WHERE server IN (SELECT id FROM servers WHERE name = ?)"
        try:
            with self._lock:
                self._database.execute(delete, (server,))
        except sqlite3.Error as error:
            raise Problem(
                f"cannot revoke the log credential of {server}: {error}", mend="free some space, try again"
            ) from error

    def holder(self, token: str) -> int | None:
        """The id, in the store, of the server that holds a token; None if nobody does."""
        if len(token) > LONGEST_TOKEN:
            return None
        select = "SELECT server FROM tokens WHERE hash = ?"
        with self._lock:
            row = self._database.execute(select, (_hash(token),)).fetchone()
        return row[0] if row else None

    def server(self, name: str) -> int | None:
        """The id, in the store, of a server by its name; None if no token was ever made for it."""
        with self._lock:
            row = self._database.execute("SELECT id FROM servers WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _add(self, identity: Identity, token_hash: bytes) -> None:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            server = self._enter(identity)
            self._database.execute("INSERT INTO tokens (hash, server) VALUES (?, ?)", (token_hash, server))
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
