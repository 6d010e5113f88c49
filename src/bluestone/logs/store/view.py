"""What a store holds at one moment: the segments and the files of the log beside them, no line in both."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bluestone.logs.store import wal
from bluestone.logs.store.parts import Damaged
from bluestone.logs.store.segment import Segment
from bluestone.logs.store.wal import Frame, Reader
from bluestone.model.problem import Problem

TRIES = 200
MOVING = 20
"""Looks after which a file that is missing is lost, and not just removed together with its name."""


class Log(NamedTuple):
    """A file of the write-ahead log, up to where it reached."""

    number: int
    reader: Reader
    end: int

    def frames(self) -> Iterator[Frame]:
        """Its frames."""
        return self.reader.frames(0, self.end)


@dataclass
class View:
    """Open files, which stay as they are when the store goes on without them. `damaged` could not be opened.

    All files of the log up to `through` are in segments.
    """

    through: int
    segments: dict[str, Segment]
    logs: list[Log]
    damaged: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Close the files of the log."""
        for log in self.logs:
            log.reader.close()


def view(directory: Path, database: sqlite3.Connection, known: dict[str, Segment]) -> View:
    """What is there now. `known` are segments that are open already. Raises `Problem` if it never holds still."""
    for attempt in range(TRIES):
        through, files = _catalogue(database)
        logs = _logs(directory / "wal", through)
        if logs is not None and _catalogue(database) == (through, files):
            try:
                segments, damaged = _segments(directory / "days", files, known, missing=attempt > MOVING)
            except FileNotFoundError:
                _close(logs)
                continue  # removed since
            return View(through, segments, logs, damaged)
        _close(logs or [])
        time.sleep(0.005)
    raise Problem(
        f"the log store {directory} does not hold still: a file that its catalogue names is missing",
        mend="run `bluestone logs check`",
    )


def _catalogue(database: sqlite3.Connection) -> tuple[int, list[str]]:
    rows = database.execute("SELECT through, file FROM sealed LEFT JOIN segments ORDER BY file").fetchall()
    return rows[0][0], [file for _, file in rows if file]


def _logs(directory: Path, through: int) -> list[Log] | None:
    """The files of the log that are not sealed; None if one went while we looked."""
    found: list[Log] = []
    for number in wal.numbers(directory):
        if number <= through:
            continue
        try:
            reader = Reader(wal.path_of(directory, number))
        except FileNotFoundError:
            _close(found)
            return None
        found.append(Log(number, reader, reader.size()))
    return found


def _segments(
    directory: Path, files: list[str], known: dict[str, Segment], *, missing: bool
) -> tuple[dict[str, Segment], list[str]]:
    """The segments, and those that are damaged or, if `missing` ones are to be left out, not there."""
    segments, damaged = {}, []
    for file in files:
        try:
            segments[file] = known[file] if file in known else Segment(directory / file)
        except Damaged:
            damaged.append(file)
        except FileNotFoundError:
            if not missing:
                raise
            damaged.append(file)
    return segments, damaged


def _close(logs: list[Log]) -> None:
    for log in logs:
        log.reader.close()
