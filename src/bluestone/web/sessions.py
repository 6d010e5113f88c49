"""Who is logged in: sessions, and the addresses that let somebody in once.

A session by a token is a file, named by the hash of its cookie's secret: it outlives the process, and whoever has the
file can log in as nobody. One by an address that lets in once ends with the process.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem
from bluestone.model.user import User

LIFE = timedelta(hours=12)
MOST = 10_000
"""Sessions at a time; beyond, the oldest end."""


class Session(Struct, frozen=True):
    """A login. `token_hash` is that of the token it came by, None for one by a one-time address.

    `form_token` is in every form of its pages: a form without it is of another site.
    """

    user: User
    token_hash: str | None
    form_token: str
    ends: datetime


class Sessions:
    """All logins. What is kept of a session's secret is its hash; those by tokens in a directory, if there is one."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._open: OrderedDict[str, Session] = OrderedDict()

    def begin(self, user: User, token_hash: str | None, now: datetime) -> str:
        """Log somebody in; the secret for their cookie: 256 random bits."""
        secret = secrets.token_urlsafe(32)
        session = Session(user, token_hash, secrets.token_urlsafe(32), now + LIFE)
        if not self._keep(_hash(secret), session, now):
            self._open[_hash(secret)] = session
            while len(self._open) > MOST:
                self._open.popitem(last=False)
        return secret

    def find(self, secret: str, now: datetime) -> Session | None:
        """The session of a cookie; None if it ended or never was."""
        digest = _hash(secret)
        found = self._open.get(digest) or self._kept(digest)
        if found is not None and found.ends <= now:
            self._end(digest)
            return None
        return found

    def end(self, secret: str) -> None:
        """Log out."""
        self._end(_hash(secret))

    def _keep(self, digest: str, session: Session, now: datetime) -> bool:
        """Write a session down, if it is to be; on a full disk it is not, and ends with the process."""
        if self._directory is None or session.token_hash is None:
            return False
        try:
            path = private_directory(self._directory) / digest
            self._tidy(now)
            write_atomically(path, msgspec.json.encode(session))
            os.utime(path, (session.ends.timestamp(),) * 2)
        except (OSError, Problem):
            return False
        return True

    def _kept(self, digest: str) -> Session | None:
        if self._directory is None:
            return None
        try:
            return msgspec.json.decode((self._directory / digest).read_bytes(), type=Session)
        except (OSError, msgspec.MsgspecError):
            return None

    def _tidy(self, now: datetime) -> None:
        """Remove files of sessions that ended, which their times tell, and of the oldest beyond `MOST`."""
        assert self._directory
        ends = sorted((entry.stat().st_mtime, entry.path) for entry in os.scandir(self._directory))
        for place, (end, path) in enumerate(ends):
            if end <= now.timestamp() or place <= len(ends) - MOST:
                Path(path).unlink(missing_ok=True)

    def _end(self, digest: str) -> None:
        self._open.pop(digest, None)
        if self._directory:
            with suppress(OSError):
                (self._directory / digest).unlink(missing_ok=True)


class OneTime:
    """A key that lets one in, once; each use makes the next one."""

    def __init__(self, told: Callable[[str], None] = lambda _: None) -> None:
        self._key = secrets.token_urlsafe(32)
        self.told = told
        """Called with each key that becomes good by a use of the one before."""

    @property
    def key(self) -> str:
        """The key that is good now."""
        return self._key

    def redeem(self, key: str) -> bool:
        """Whether it is the key; it is good no longer then."""
        if not hmac.compare_digest(_hash(key), _hash(self._key)):
            return False
        self._key = secrets.token_urlsafe(32)
        self.told(self._key)
        return True


def _hash(secret: str) -> str:
    return sha256(secret.encode(errors="replace")).hexdigest()
