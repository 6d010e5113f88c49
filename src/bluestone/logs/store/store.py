"""Keeps lines: durable when `append` returns, each once."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bluestone.host.paths import private_directory
from bluestone.logs.ingest.lines import Line, parse_line
from bluestone.logs.store import wal
from bluestone.logs.store.database import connect
from bluestone.logs.store.moving import move
from bluestone.logs.store.sealed import Sealed
from bluestone.logs.store.wal import Share

TURN_BYTES = 64 << 20
TURN_LINES = 200_000
TURN_AGE = 86_400.0
"""When the write-ahead log goes on in another file (bytes, lines, seconds), so that this one can be sealed."""

BACKLOG = 32
"""Files that wait to be sealed, beyond which writers are asked to wait: 2 GiB of lines."""


class Batch(NamedTuple):
    """Lines of one server (its id in the store), in the order in which they were written.

    `shipped` says whether its shipper sent them: only those does it count in its goodbye.
    """

    server: int
    lines: tuple[Line, ...]
    shipped: bool = True


class Store:
    """The writing end. One process at a time holds it (the receiver sees to that); any number may read."""

    def __init__(self, directory: Path, *, behind: bool = False) -> None:
        """Open it, made if missing; with `behind`, a child process seals what was written.

        Raises `Problem`, `OSError`.
        """
        self._directory = directory
        self._database = connect(directory)
        self._logs = private_directory(directory / "wal")
        through = _sealed_through(self._database)
        # A number is never used again, or the catalogue would take new lines for sealed ones.
        self._wal = wal.Writer(self._logs, max([through + 1, *wal.numbers(self._logs)]))
        self._recent: dict[int, dict[int, set[int]]] = {}
        self._sealed = Sealed(directory, self._database)
        self._lines = 0
        self._begun = time.monotonic()
        self._sealer: subprocess.Popen[bytes] | None = None
        self._replay(through)
        move(self._database, lambda server, lines: self.append([Batch(server, tuple(lines))]))
        if behind:
            self._sealer = subprocess.Popen(sealer_command(directory), stdin=subprocess.PIPE)

    def append(self, batches: Iterable[Batch]) -> tuple[int, ...]:
        """Store all batches at once; a line that is there already is left as it is. How many of each were new.

        Raises `OSError`: then nothing of these batches was stored.
        """
        self._refresh()
        taken: dict[int, set[int]] = {}
        shares: list[Share] = []
        lines: list[list[Line]] = []
        fresh_counts = []
        for batch in batches:
            fresh = self._fresh(batch, taken)
            fresh_counts.append(len(fresh))
            if fresh:
                shares.append(_share(batch, fresh))
                lines.append(fresh)
        if shares:
            self._wal.append(wal.encode(shares, lines))
            self._remember(self._wal.number, taken)
            self._lines += sum(fresh_counts)
            self._turn_if_due()
        return tuple(fresh_counts)

    def overloaded(self) -> bool:
        """Whether so much waits to be sealed that writers should wait."""
        return len(wal.numbers(self._logs)) > BACKLOG

    def turn(self) -> None:
        """Go on in another file, so that all written so far can be sealed. Raises `OSError`."""
        if self._wal.size:
            self._wal.turn()
            self._lines, self._begun = 0, time.monotonic()

    def close(self) -> None:
        """End the child, and close all files."""
        if self._sealer:
            assert self._sealer.stdin
            self._sealer.stdin.close()  # the sign for it to end
            self._sealer.wait()
        self._wal.close()
        self._database.close()

    def _fresh(self, batch: Batch, taken: dict[int, set[int]]) -> list[Line]:
        mine = taken.setdefault(batch.server, set())
        known = [seen for servers in self._recent.values() if (seen := servers.get(batch.server))]
        fresh = []
        for line in batch.lines:
            key = line.key
            if key is None:
                fresh.append(line)
                continue
            if key in mine or any(key in seen for seen in known) or self._sealed.has(batch.server, line):
                continue
            mine.add(key)
            fresh.append(line)
        return fresh

    def _remember(self, number: int, taken: dict[int, set[int]]) -> None:
        servers = self._recent.setdefault(number, {})
        for server, keys in taken.items():
            servers.setdefault(server, set()).update(keys)

    def _turn_if_due(self) -> None:
        old = time.monotonic() - self._begun > TURN_AGE
        if old or self._wal.size > TURN_BYTES or self._lines > TURN_LINES:
            try:
                self.turn()
            except OSError:  # what was appended is safe; the next append tries again
                return

    def _refresh(self) -> None:
        """Know lines that were sealed since by their segments, and no longer by heart."""
        if self._sealed.refresh():
            through = _sealed_through(self._database)
            for number in [number for number in self._recent if number <= through]:
                del self._recent[number]
        if self._sealer and self._sealer.poll() is not None:
            self._sealer = subprocess.Popen(sealer_command(self._directory), stdin=subprocess.PIPE)

    def _replay(self, through: int) -> None:
        for number in wal.numbers(self._logs):
            if number <= through:
                continue
            reader = wal.Reader(wal.path_of(self._logs, number))
            for frame in reader.frames():
                for share, lines in frame.lines():
                    keys = {key for line in lines if (key := parse_line(line.original, line.at).key) is not None}
                    self._remember(number, {share.server: keys})
                    self._lines += len(lines) if number == self._wal.number else 0
            reader.close()


def sealer_command(directory: Path) -> list[str]:
    """The command that seals behind a writer until its standard input ends."""
    return [sys.executable, "-m", "bluestone.logs.store.seal", str(directory)]


def _sealed_through(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT through FROM sealed").fetchone()[0])


def _share(batch: Batch, fresh: Sequence[Line]) -> Share:
    goodbyes = [line.goodbye for line in fresh if line.goodbye is not None] if batch.shipped else []
    counted = len(fresh) - len(goodbyes) if batch.shipped else 0
    times = [line.at for line in fresh]
    return Share(batch.server, len(fresh), counted, goodbyes[-1] if goodbyes else None, min(times), max(times))


def is_full(error: OSError) -> bool:
    """Whether there was no space to write, or the disk fails."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
