"""Gives every acknowledged line to sinks, from where each of them was left, and never holds the store up.

`python -m bluestone.logs.forward STORE SINKS` does so until its standard input ends; SINKS is a file of `Chosen`s. It
reads what is stored as any reader does: a sink that is away for a week costs nothing but its own delay. How far a sink
came is on the disk only after it took the lines, so that it gets some again after a kill, and none is left out.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Protocol

import msgspec

from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.logs.ingest.lines import cursor_of
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.entry import Entry
from bluestone.logs.sink import Chosen, Given, Sink, Unavailable
from bluestone.logs.store import wal
from bluestone.logs.store.database import connect
from bluestone.logs.store.parts import Damaged
from bluestone.logs.store.segment import Segment
from bluestone.logs.store.tidy import entries
from bluestone.model.problem import Problem

AT_ONCE = 2000
"""Lines given together."""

POLL = 0.5
PATIENCE = 60.0
"""Seconds between looks for new lines; and the longest wait before a sink that fails is tried again."""


class Reached(msgspec.Struct, frozen=True):
    """How far a sink came: all files of the log before `number`, and `place` bytes of that one.

    `lines` were given to it so far, `refused` of them it would not take, the last of them at `taken_at` (microseconds
    since 1970); `trouble` is why it takes none now.
    """

    number: int = 0
    place: int = 0
    lines: int = 0
    refused: int = 0
    trouble: str = ""
    taken_at: int = 0


class Arriving(Protocol):
    """What has arrived since a sink was asked last."""

    def __call__(self, reached: Reached) -> Iterator[tuple[list[Given], int, int]]:
        """Lines, and the number and place that are reached behind them."""


class Source:
    """The lines of a store behind what a sink has, in the order of the log's files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._archive = Archive(directory)
        self._database = connect(directory)

    def __call__(self, reached: Reached) -> Iterator[tuple[list[Given], int, int]]:
        """Pieces of at most about `AT_ONCE` lines, with the number and place that are reached behind each."""
        number, place = reached.number, reached.place
        while True:
            # Asked before the file is read: if there is a later one, this one is complete.
            there = wal.numbers(self._directory / "wal")
            (through,) = self._database.execute("SELECT through FROM sealed").fetchone()
            if number <= through:
                for piece in self._sealed(number, through):
                    yield piece, number, place
                number, place = through + 1, 0
                yield [], number, place
                continue
            try:
                reader = wal.Reader(wal.path_of(self._directory / "wal", number))
            except FileNotFoundError:
                later = [each for each in there if each > number]
                if not later:
                    return
                number, place = later[0], 0
                continue
            with closing(reader):
                for frame in reader.frames(place):
                    place = frame.end
                    lines = [
                        self._given(Entry(self._archive.identity(share.server), line.at, line.original))
                        for share, stored in frame.lines()
                        for line in stored
                    ]
                    yield lines, number, place
            if not any(each > number for each in there):
                return
            number, place = number + 1, 0

    def close(self) -> None:
        """Close what is open."""
        self._archive.close()
        self._database.close()

    def _sealed(self, number: int, through: int) -> Iterator[list[Given]]:
        """The lines of files of the log from a number on, by the segments that hold them now."""
        select = "SELECT file FROM segments WHERE last_wal BETWEEN ? AND ? ORDER BY last_wal, file"
        for (file,) in self._database.execute(select, (number, through)).fetchall():
            piece: list[Given] = []
            try:
                for entry, identity in entries(Segment(self._directory / "days" / file)):
                    piece.append(self._given(Entry(identity, entry.at, entry.original)))
                    if len(piece) >= AT_ONCE:
                        yield piece
                        piece = []
            except Damaged as damaged:
                _say(f"{damaged}; what of it can be read goes on to sinks")
            yield piece

    def _given(self, entry: Entry) -> Given:
        return Given(name_of(entry), entry.identity, entry.at, entry.original)


def name_of(entry: Entry) -> str:
    """The name of a line, the same whenever it is read: its server's, with its own or a hash of all of it."""
    own = cursor_of(entry.original).encode(errors="replace") or b"%d %b" % (entry.at, entry.original)
    return f"{entry.identity.server}-{blake2b(own, digest_size=12).hexdigest()}"


class Forwarder:
    """One sink's way through the lines."""

    def __init__(self, sink: Sink, arriving: Arriving, file: Path) -> None:
        self._sink, self._arriving, self._file = sink, arriving, file
        self.reached = read_reached(file)
        self._failures = 0

    def go_on(self) -> float:
        """Give what has arrived; after how many seconds to look again. Raises `OSError`, `sqlite3.Error`, `Problem`."""
        try:
            for lines, number, place in self._arriving(self.reached):
                for start in range(0, len(lines), AT_ONCE):
                    refused = self._sink.take(lines[start : start + AT_ONCE])
                    if refused:
                        _say(f"{self._file.stem} refuses {refused} lines; they stay in the store")
                    self._count(min(AT_ONCE, len(lines) - start), refused)
                if (number, place) != (self.reached.number, self.reached.place) or self.reached.trouble:
                    self._keep(msgspec.structs.replace(self.reached, number=number, place=place, trouble=""))
        except Unavailable as unavailable:
            if str(unavailable) != self.reached.trouble:
                _say(f"{self._file.stem} takes no lines: {unavailable}")
                self._keep(msgspec.structs.replace(self.reached, trouble=str(unavailable)))
            self._failures += 1
            return wait(self._failures)
        self._failures = 0
        return POLL

    def _count(self, lines: int, refused: int) -> None:
        self.reached = msgspec.structs.replace(
            self.reached,
            lines=self.reached.lines + lines,
            refused=self.reached.refused + refused,
            taken_at=time.time_ns() // 1000,
        )

    def _keep(self, reached: Reached) -> None:
        self.reached = reached
        write_atomically(self._file, msgspec.json.encode(reached) + b"\n")


def wait(failures: int) -> float:
    """Seconds to wait after so many failures in a row: twice as long each time, up to `PATIENCE`."""
    return float(min(PATIENCE, POLL * 2 ** min(failures, 10)) * random.uniform(0.5, 1))  # noqa: S311 - that not all come back at once


def read_reached(file: Path) -> Reached:
    """How far a sink came; from the beginning, if that is not known."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Reached)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Reached()


def place_of(store: Path, name: str) -> Path:
    """Where it is written how far a sink came."""
    return private_directory(store / "sinks") / f"{name}.json"


def opened(chosen: Chosen) -> Sink:
    """The sink. Raises `Problem`."""
    module, _, name = chosen.opener.partition(":")
    try:
        opener: Callable[[Mapping[str, str]], Sink] = getattr(import_module(module), name)
        return opener(chosen.options)
    except (ImportError, AttributeError, TypeError) as error:
        raise Problem(
            f"the log sink {chosen.name} cannot be opened: {error}", mend="see its keys in `bluestone reference logs`"
        ) from error


def run(store: Path, chosen: Chosen, ended: threading.Event) -> None:
    """Give lines to a sink until the end; whatever goes wrong is said once and tried again."""
    trouble = ""
    while not ended.is_set():
        try:
            with closing(opened(chosen)) as sink, closing(Source(store)) as source:
                forwarder = Forwarder(sink, source, place_of(store, chosen.name))
                while not ended.wait(forwarder.go_on()):
                    trouble = ""
        except (OSError, sqlite3.Error, Problem) as error:
            if str(error) != trouble:
                _say(f"{chosen.name}: {error}")
            trouble = str(error)
            ended.wait(PATIENCE)


def _say(what: str) -> None:
    print(f"log sinks: {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Give lines to all sinks until standard input ends."""
    store, ended = Path(sys.argv[1]), threading.Event()
    sinks = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=tuple[Chosen, ...])
    for each in sinks:
        threading.Thread(target=run, args=(store, each, ended), daemon=True).start()
    while sys.stdin.buffer.read(1):
        pass
    ended.set()


if __name__ == "__main__":
    main()
