"""Last words: a server's last lines, sealed when it is gone, each seal bound to the one before.

DIRECTORY/SERVER.json   the seal of a server
DIRECTORY/chain         a line for each seal, in their order: its number, its digest, whose it is

A seal's digest covers its content and the digest of the seal before it. Whoever changes or removes one changes all that
follow; a digest that was noted elsewhere proves everything before it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.model.ids import NAME
from bluestone.model.problem import Problem
from bluestone.model.record import Identity, Record

LINES, BYTES = 200, 256 << 10
"""The most that is sealed of a server."""

FIRST = "0" * 64


class Said(msgspec.Struct, frozen=True):
    """A line: when (microseconds are kept), by what, how severe, and what."""

    at: datetime
    unit: str
    severity: int
    message: str


class Seal(msgspec.Struct, frozen=True):
    """A server's last words. `lines` of it are stored, and `goodbye` is how many there are as it said, if it did."""

    number: int
    sealed: datetime
    project: str
    server: str
    group: str
    generation: int
    image: str
    lines: int
    goodbye: int | None
    said: tuple[Said, ...]
    previous: str
    digest: str = ""

    def reckoned(self) -> str:
        """The digest that it should have."""
        bare = msgspec.structs.replace(self, digest="")
        return sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


class Seals:
    """The seals of a project, below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def seal(
        self, identity: Identity, records: Sequence[Record], lines: int, goodbye: int | None, now: datetime
    ) -> Seal:
        """Seal a server's last lines (the newest last), once: a seal that is there stays. Raises `Problem`."""
        with self._alone():
            if found := self.read(identity.server):
                return found
            chain = self._chain()
            previous = chain[-1][1] if chain else FIRST
            number = chain[-1][0] + 1 if chain else 1
            open_ = Seal(
                number=number,
                sealed=now,
                project=identity.project,
                server=identity.server,
                group=identity.group,
                generation=identity.generation,
                image=identity.image,
                lines=lines,
                goodbye=goodbye,
                said=_bounded(records),
                previous=previous,
            )
            made = msgspec.structs.replace(open_, digest=open_.reckoned())
            # The seal first: a chain that names a seal has it.
            write_atomically(self._path(made.server), msgspec.json.encode(made))
            entry = f"{number} {made.digest} {made.server}\n"
            text = "".join(f"{each[0]} {each[1]} {each[2]}\n" for each in chain)
            write_atomically(self._directory / "chain", (text + entry).encode())
            return made

    def read(self, server: str) -> Seal | None:
        """A server's seal; None if there is none that the chain knows. Raises `Problem` for one that is spoilt."""
        if not NAME.fullmatch(server):
            return None
        try:
            content = self._path(server).read_bytes()
        except FileNotFoundError:
            if any(each[2] == server for each in self._chain()):
                raise self._broken(server, "it is missing") from None
            return None
        try:
            found = msgspec.json.decode(content, type=Seal)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._broken(server, "it cannot be read") from None
        listed = {each[2]: each[1] for each in self._chain()}.get(server)
        if listed is None:  # it died between the two
            return None
        if found.reckoned() != found.digest or listed != found.digest:
            raise self._broken(server, "it is not as it was sealed")
        return found

    def check(self) -> tuple[int, str]:
        """How many seals there are, all whole and in their order, and the last one's digest. Raises `Problem`."""
        previous, number = FIRST, 0
        for number, digest, server in self._chain():
            found = self.read(server)
            if found is None or found.previous != previous or found.number != number:
                raise self._broken(server, "it does not follow the one before")
            previous = digest
        return number, previous

    def _chain(self) -> list[tuple[int, str, str]]:
        try:
            text = (self._directory / "chain").read_text()
        except FileNotFoundError:
            return []
        try:
            return [(int(number), digest, server) for number, digest, server in map(str.split, text.splitlines())]
        except ValueError:
            raise self._broken("chain", "it cannot be read") from None

    def _path(self, server: str) -> Path:
        return self._directory / f"{server}.json"

    def _broken(self, server: str, why: str) -> Problem:
        return Problem(
            f"the seal of {server} in {self._directory} is broken: {why}",
            mend="restore it from a backup; the lines themselves are in `bluestone logs`, sealed or not",
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (private_directory(self._directory) / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _bounded(records: Sequence[Record]) -> tuple[Said, ...]:
    kept: list[Said] = []
    size = 0
    for record in reversed(records[-LINES:]):
        size += len(record.message)
        if size > BYTES and kept:
            break
        kept.append(Said(record.at, record.unit, record.severity, record.message[:BYTES]))
    return tuple(reversed(kept))
