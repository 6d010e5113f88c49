"""Who read what: an entry for each read, each bound to the one before, written before what was read is shown.

DIRECTORY/reads.ndjson   a line for each, only ever appended to

An entry's digest covers its content and the digest of the entry before. Whoever changes, inserts or removes one breaks
all that follow; a digest that was noted elsewhere proves everything before it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem

FIRST = "0" * 64
LONGEST = 256 << 10
"""Bytes of an entry, at most; a query has a bound far below."""


class Read(msgspec.Struct, frozen=True):
    """A read. `asked` is what for, in the words of the reader; `lines` how many were shown, None of one that begins."""

    number: int
    at: datetime
    who: str
    role: str
    what: str
    asked: Mapping[str, str]
    lines: int | None
    address: str
    previous: str
    digest: str = ""

    def reckoned(self) -> str:
        """The digest that it should have."""
        bare = msgspec.structs.replace(self, digest="")
        return sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


class Reads:
    """The reads of a project, below a directory. Threads and processes may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "reads.ndjson"

    def append(
        self,
        now: datetime,
        who: str,
        role: str,
        what: str,
        asked: Mapping[str, str],
        lines: int | None,
        address: str = "",
    ) -> Read:
        """Note a read; it is on the disk when this returns. Raises `Problem`: then nothing may be shown."""
        try:
            descriptor = os.open(
                private_directory(self._directory) / self._path.name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                last, end = self._last(file.fileno())
                open_ = Read(
                    number=last.number + 1 if last else 1,
                    at=now,
                    who=who,
                    role=role,
                    what=what,
                    asked=dict(asked),
                    lines=lines,
                    address=address,
                    previous=last.digest if last else FIRST,
                )
                made = msgspec.structs.replace(open_, digest=open_.reckoned())
                self._write(file.fileno(), end, msgspec.json.encode(made) + b"\n")
                return made
        except OSError as error:
            raise Problem(
                f"this read cannot be noted in {self._path}: {error.strerror}",
                mend="free some space, make it writable; until then nothing is shown",
            ) from error

    def all(self) -> Iterator[Read]:
        """All reads, the oldest first, each checked against the one before. Raises `Problem` where they are broken."""
        previous, number = FIRST, 0
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for line in file:
                if not line.endswith(b"\n"):  # it was never acknowledged, and nothing was shown
                    return
                number += 1
                found = self._decoded(line, number)
                if found.number != number or found.previous != previous or found.reckoned() != found.digest:
                    raise self._broken(number, "it is not as it was written, or does not follow the one before")
                previous = found.digest
                yield found

    def _write(self, descriptor: int, end: int, entry: bytes) -> None:
        os.ftruncate(descriptor, end)
        try:
            written = 0
            while written < len(entry):
                written += os.pwrite(descriptor, entry[written:], end + written)
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise

    def _last(self, descriptor: int) -> tuple[Read | None, int]:
        """The last whole entry, and where it ends."""
        size = os.fstat(descriptor).st_size
        begin = max(0, size - LONGEST)
        content = os.pread(descriptor, size - begin, begin)
        end = content.rfind(b"\n") + 1
        if end == 0:
            if begin:
                raise self._broken(0, "its end cannot be read")
            return None, 0
        first = content.rfind(b"\n", 0, end - 1) + 1
        return self._decoded(content[first:end], 0), begin + end

    def _decoded(self, line: bytes, number: int) -> Read:
        try:
            return msgspec.json.decode(line, type=Read)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._broken(number, "it cannot be read") from None

    def _broken(self, number: int, why: str) -> Problem:
        which = f"entry {number}" if number else "the last entry"
        return Problem(
            f"{which} of {self._path} is broken: {why}",
            mend="keep the file for whoever looks into it, restore it from a backup, or move it away to begin anew",
        )
