"""What arrives in a store after a moment, each line once, however slowly it is asked for."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bluestone.logs.store import wal
from bluestone.logs.store.view import Log, View
from bluestone.logs.store.wal import Frame, Reader
from bluestone.model.problem import Problem


class Position(NamedTuple):
    """How far somebody read what arrives: `place` bytes of the log's file `number`, at `at` microseconds since 1970."""

    number: int
    place: int
    at: int

    def __str__(self) -> str:
        return f"{self.number}.{self.place}.{self.at}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """What `str` wrote. Raises `Problem`."""
        if not re.fullmatch(r"\d{1,10}(\.\d{1,18}){2}", text):
            raise Problem(f'"{text[:80]}" is no position in what arrives', mend="begin without one")
        return cls(*map(int, text.split(".")))


class Arrived(NamedTuple):
    """A frame of the log's file of that number."""

    number: int
    frame: Frame


class Missed(NamedTuple):
    """Segments that hold the lines of a file of the log, which was sealed before we looked."""

    files: list[str]


class Tail:
    """The lines that come after a view. A file that is sealed while we read it stays open, and is read to its end."""

    def __init__(self, directory: Path, database: sqlite3.Connection, now: View) -> None:
        self._directory, self._database = directory / "wal", database
        last = now.logs[-1] if now.logs else None
        self._number = last.number if last else now.through
        self._place = last.end if last else 0
        self._reader = last.reader if last else None

    @property
    def reached(self) -> tuple[int, int]:
        """The log's file that is read, and how far."""
        return self._number, self._place

    def fresh(self) -> Iterator[Arrived | Missed]:
        """What came since. Raises `Problem` if what was sealed before it was read is no longer to be told apart."""
        while True:
            # Asked before the file is read: if lines of a later one are there, this one is complete.
            following = [number for number in wal.numbers(self._directory) if number > self._number]
            sealed = self._sealed()
            if self._reader:
                for frame in self._reader.frames(self._place):
                    self._place = frame.end
                    yield Arrived(self._number, frame)
            if sealed:
                self._go_to(max(last for _, _, last in sealed))
                yield Missed([file for file, _, _ in sealed])
            elif not following:
                return
            else:
                self._open(following[0])

    def close(self) -> None:
        """Close what is open."""
        if self._reader:
            self._reader.close()

    def _open(self, number: int) -> None:
        try:
            reader = Reader(wal.path_of(self._directory, number))
        except FileNotFoundError:
            return  # sealed this very moment
        self._go_to(number, reader)

    def _go_to(self, number: int, reader: Reader | None = None) -> None:
        self.close()
        self._number, self._place, self._reader = number, 0, reader

    def _sealed(self) -> list[tuple[str, int, int]]:
        """The segments of the next file of the log that is sealed: their names, and the first and last file in them."""
        rows = self._database.execute(
            "SELECT file, first_wal, last_wal FROM segments WHERE last_wal > ?1"
            " AND first_wal = (SELECT min(first_wal) FROM segments WHERE last_wal > ?1) ORDER BY file",
            (self._number,),
        ).fetchall()
        if any(first <= self._number for _, first, _ in rows):
            raise Problem(
                "lines were sealed, and merged with earlier ones, before they were read",
                mend="they are kept: start `bluestone logs --follow` again, with --since",
            )
        return rows


def resumed(directory: Path, database: sqlite3.Connection, after: Position) -> tuple[Tail, list[str]]:
    """What comes after a position. Where that file of the log is sealed by now, with the segments sealed since.

    Those hold lines from before the position as well: a reader tells them by their names.
    """
    log: list[Log] = []
    try:
        reader = Reader(wal.path_of(directory / "wal", after.number))
        log = [Log(after.number, reader, min(after.place, reader.size()))]
    except FileNotFoundError:
        pass
    rows = [] if log else database.execute("SELECT file, last_wal FROM segments WHERE last_wal >= ?", after[:1])
    sealed = list(rows)
    through = max([after.number, *(last for _, last in sealed)])
    return Tail(directory, database, View(through, {}, log)), sorted(file for file, _ in sealed)
