"""Seals: turns files of the write-ahead log that are complete into segments, behind the writer's back.

`python -m bluestone.logs.store.seal DIRECTORY` does so until its standard input ends. It may die at any moment: what a
file of the log became is in the catalogue in one transaction, and only then does the file go.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bluestone.host.paths import private_directory
from bluestone.logs.store import wal
from bluestone.logs.store.build import Entry, build
from bluestone.logs.store.database import connect
from bluestone.logs.store.parts import Footer
from bluestone.logs.store.tally import Tally
from bluestone.logs.store.wal import Share
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

INTERVAL = 0.5
"""Seconds between looks for something to seal."""

TIDYING = 600.0
"""Seconds between looks for what need not be kept any longer, or is better kept together."""

DAY = 86_400_000_000
MOST_DAYS = 64
"""Days that get segments of their own from one file: a clock gone wild must not make thousands of files."""

NICENESS = 10
"""Whoever writes or asks goes first; what waits to be sealed is bounded."""


def seal(directory: Path, through: int | None = None) -> int:
    """Seal all files of the log but the newest, which may be written to; or those up to a number. How many were.

    Raises `OSError`, `sqlite3.Error`, `Problem`; what is not sealed then is sealed the next time.
    """
    with alone(directory):
        database = connect(directory)
        try:
            return _seal_all(directory, database, through)
        finally:
            database.close()


def _seal_all(directory: Path, database: sqlite3.Connection, through: int | None) -> int:
    logs = private_directory(directory / "wal")
    done = int(database.execute("SELECT through FROM sealed").fetchone()[0])
    there = wal.numbers(logs)
    count = 0
    for number in there:
        if number <= done:
            wal.path_of(logs, number).unlink(missing_ok=True)
        elif number <= (through if through is not None else there[-1] - 1):
            _seal_file(directory, database, number)
            count += 1
    return count


def _seal_file(directory: Path, database: sqlite3.Connection, number: int) -> None:
    path = wal.path_of(directory / "wal", number)
    entries, shares, damaged = _read(path)
    rows = []
    for day, lines in by_day(entries).items():
        file = f"{date(day)}/{number:010d}.seg"
        lines.sort(key=_server_and_time)
        rows.append((file, build(directory / "days" / file, lines, identities(database))))
    if damaged:
        # Kept beside, so that somebody may look at what the disk lost; `check` tells of it.
        (path.parent / f"{path.name}.damaged").write_bytes(path.read_bytes())
    enter(directory, database, rows, number, shares)
    path.unlink(missing_ok=True)


def enter(
    directory: Path,
    database: sqlite3.Connection,
    rows: Sequence[tuple[str, Footer]],
    number: int,
    shares: Sequence[Share],
) -> None:
    """Have the catalogue name segments in the place of a file of the log, in one transaction."""
    database.execute("BEGIN IMMEDIATE")
    try:
        for file, footer in rows:
            name(directory, database, file, footer, (number, number))
        for server, tally in tallies(database, shares).items():
            database.execute(
                "UPDATE servers SET lines = ?, goodbye = ? WHERE id = ?", (tally.lines, tally.goodbye, server)
            )
        database.execute("UPDATE sealed SET through = ?", (number,))
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def name(directory: Path, database: sqlite3.Connection, file: str, footer: Footer, logs: tuple[int, int]) -> None:
    """Have the catalogue name a segment, with the first and last file of the log whose lines it holds."""
    size = (directory / "days" / file).stat().st_size
    database.execute(
        "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)",
        (file, *logs, footer.lines, size, footer.oldest, footer.newest),
    )


def tallies(database: sqlite3.Connection, shares: Sequence[Share]) -> dict[int, Tally]:
    """What is known of the servers of these shares, once these are counted."""
    found: dict[int, Tally] = {}
    for share in shares:
        if share.server not in found:
            row = database.execute("SELECT lines, goodbye FROM servers WHERE id = ?", (share.server,)).fetchone()
            found[share.server] = Tally(*row) if row else Tally(0, None)
        found[share.server] = found[share.server].after(share)
    return found


def by_day(entries: Sequence[Entry]) -> dict[int, list[Entry]]:
    """The entries by their days since 1970; those of days beyond `MOST_DAYS` go with the day that has most."""
    counts = Counter(entry.at // DAY for entry in entries)
    kept = {day for day, _ in counts.most_common(MOST_DAYS)}
    days: dict[int, list[Entry]] = {day: [] for day in sorted(kept)}
    fallback = counts.most_common(1)[0][0] if counts else 0
    for entry in entries:
        day = entry.at // DAY
        days[day if day in kept else fallback].append(entry)
    return days


def _read(path: Path) -> tuple[list[Entry], list[Share], bool]:
    reader = wal.Reader(path)
    entries, shares, place, damaged = [], [], 0, False
    for frame in reader.frames():
        for share, lines in frame.lines():
            shares.append(share)
            entries += [Entry(share.server, line.at, line.original) for line in lines]
        place = frame.end
    _, stretches = reader.whole()
    damaged = bool(stretches) or place < reader.size()
    reader.close()
    return entries, shares, damaged


def _server_and_time(entry: Entry) -> tuple[int, int]:
    return entry.server, entry.at


def date(day: int) -> str:
    """A day since 1970, as the name of its directory."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def identities(database: sqlite3.Connection) -> Callable[[int], Identity]:
    """Who servers are, by their ids."""

    def find(server: int) -> Identity:
        row = database.execute(
            'SELECT project, name, "group", generation, image FROM servers WHERE id = ?', (server,)
        ).fetchone()
        return Identity(*row) if row else Identity("", f"unknown-{server}", "", 0, "")

    return find


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Be the only one that makes or removes segments."""
    with (private_directory(directory) / "sealer.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Seal until standard input ends."""
    # Not above: they use what is here.
    from bluestone.logs.store.tidy import tidy

    directory = Path(sys.argv[1])
    os.nice(NICENESS)
    gc.disable()  # while lines are in memory it would look at each of them again and again: 7 % of the time
    trouble, next_tidying = "", time.monotonic()
    while True:
        try:
            if seal(directory):
                gc.collect()
            if time.monotonic() >= next_tidying:
                tidy(directory)
                next_tidying = time.monotonic() + TIDYING
            trouble = ""
        except (OSError, sqlite3.Error, Problem) as error:
            if str(error) != trouble:
                print(f"sealer: {error}", file=sys.stderr, flush=True)
            trouble = str(error)
        if select.select([sys.stdin], [], [], INTERVAL)[0] and not sys.stdin.buffer.read(1):
            return


if __name__ == "__main__":
    main()
