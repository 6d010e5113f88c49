"""Who is logged in: sessions, and the addresses that let somebody in once. Values and time; nothing is kept on disk."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from msgspec import Struct

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
    """All logins of a process. What is kept of a session's secret is its hash."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Session] = OrderedDict()

    def begin(self, user: User, token_hash: str | None, now: datetime) -> str:
        """Log somebody in; the secret for their cookie: 256 random bits."""
        secret = secrets.token_urlsafe(32)
        self._open[_hash(secret)] = Session(user, token_hash, secrets.token_urlsafe(32), now + LIFE)
        while len(self._open) > MOST:
            self._open.popitem(last=False)
        return secret

    def find(self, secret: str, now: datetime) -> Session | None:
        """The session of a cookie; None if it ended or never was."""
        digest = _hash(secret)
        found = self._open.get(digest)
        if found is not None and found.ends <= now:
            del self._open[digest]
            return None
        return found

    def end(self, secret: str) -> None:
        """Log out."""
        self._open.pop(_hash(secret), None)


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
