"""`users`: who may look at a project through its web page and API, by tokens of which only hashes are kept.

STATE/users.json   all of them; whoever has it can log in as nobody
"""

from __future__ import annotations

import fcntl
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path

import msgspec

from bluestone.app.project import Project
from bluestone.host.files import write_atomically
from bluestone.model.ids import NAME
from bluestone.model.problem import Problem
from bluestone.model.user import Role, User

LONGEST_TOKEN = 256
MOST = 1000
"""Users of a project: each token that comes is compared with all of theirs."""


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user as kept. `hash` is the SHA-256 of the token, in hexadecimal; `since` when the token was made.

    A plain hash is enough for 256 random bits: there is nothing to guess, so nothing to slow down. A password that a
    person chose would need scrypt; nobody chooses one here.
    """

    name: str
    role: Role
    hash: str
    since: datetime

    @property
    def user(self) -> User:
        """Who that is."""
        return User(self.name, self.role)


class Users:
    """The users of a project, below its directory. What another process changes is seen at the next look."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "users.json"
        self._read: tuple[tuple[int, int, int], tuple[Known, ...]] | None = None

    def all(self) -> tuple[Known, ...]:
        """All of them, by name. Raises `Problem` for a file that cannot be read: then nobody is let in."""
        try:
            status = self._file.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if self._read is None or self._read[0] != stamp:
                self._read = stamp, msgspec.json.decode(self._file.read_bytes(), type=tuple[Known, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError) as error:
            raise Problem(
                f"{self._file} cannot be read: {error}", mend="restore it from a backup, or remove it and add the users"
            ) from error
        return self._read[1]

    def named(self, name: str) -> Known | None:
        """The user of that name."""
        return next((each for each in self.all() if each.name == name), None)

    def holder(self, token: str) -> Known | None:
        """Whose token that is. Takes as long whoever it is, and if it is nobody's."""
        digest = hash_of(token[: LONGEST_TOKEN + 1])
        found = None
        for each in self.all():
            if hmac.compare_digest(each.hash, digest):
                found = each
        return found

    def add(self, name: str, role: Role, now: datetime) -> str:
        """Add a user; their token, which is kept nowhere. Raises `Problem`."""
        if not NAME.fullmatch(name):
            raise Problem(f'"{name}" is no name for a user', mend="use small letters, digits and single hyphens")
        with self._alone():
            if self.named(name):
                raise Problem(f"there is a user {name} already", mend=f"for a new token: bluestone users rotate {name}")
            if len(self.all()) >= MOST:
                raise Problem(f"there are {MOST} users already", mend="remove some: bluestone users remove NAME")
            token = secrets.token_urlsafe(32)
            self._write((*self.all(), Known(name, role, hash_of(token), now)))
        return token

    def rotate(self, name: str, now: datetime) -> str:
        """Give a user a new token; the old one is good no longer, nor what was logged in by it. Raises `Problem`."""
        with self._alone():
            known = self._must_be(name)
            token = secrets.token_urlsafe(32)
            others = (each for each in self.all() if each.name != name)
            self._write((*others, Known(name, known.role, hash_of(token), now)))
        return token

    def remove(self, name: str) -> None:
        """Have a user no more. Raises `Problem`."""
        with self._alone():
            self._must_be(name)
            self._write(tuple(each for each in self.all() if each.name != name))

    def _must_be(self, name: str) -> Known:
        if found := self.named(name):
            return found
        names = [each.name for each in self.all()]
        near = get_close_matches(name, names, n=3)
        raise Problem(
            f"there is no user {name}",
            mend=f"did you mean {' or '.join(near)}?" if near else "see them: bluestone users list",
        )

    def _write(self, users: tuple[Known, ...]) -> None:
        ordered = sorted(users, key=lambda each: each.name)
        write_atomically(self._file, msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")
        self._read = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._directory / "users.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def users_of(project: Project) -> Users:
    """The users of a project."""
    return Users(project.state)


def add(project: Project, name: str, role: Role) -> str:
    """Add a user; their token. Raises `Problem`."""
    return users_of(project).add(name, role, datetime.now(UTC))


def rotate(project: Project, name: str) -> str:
    """Give a user a new token. Raises `Problem`."""
    return users_of(project).rotate(name, datetime.now(UTC))


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return sha256(token.encode(errors="replace")).hexdigest()
