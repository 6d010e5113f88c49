"""Reads all of a store, and tells what is not as it was written."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from msgspec import Struct

from bluestone.logs.store import wal
from bluestone.logs.store.database import connect
from bluestone.logs.store.parts import Damaged
from bluestone.logs.store.segment import Segment


class Damage(Struct, frozen=True):
    """A file that is damaged or missing. `lines` are those that it holds, as far as is known."""

    file: str
    what: str
    lines: int


class Report(Struct, frozen=True):
    """What was found: files and lines that are whole, and the others."""

    files: int
    lines: int
    damages: tuple[Damage, ...]


def check(directory: Path) -> Report:
    """Verify every checksum; what is written meanwhile is not looked at. Raises `Problem`."""
    files, lines, damages = 0, 0, []
    with closing(connect(directory)) as database:
        through = database.execute("SELECT through FROM sealed").fetchone()[0]
        rows = database.execute("SELECT file, lines FROM segments ORDER BY file").fetchall()
        for file, count in rows:
            what = _verify(directory / "days" / file)
            if what and database.execute("SELECT 1 FROM segments WHERE file = ?", (file,)).fetchone():
                damages.append(Damage(f"days/{file}", what, count))
            else:
                files, lines = files + 1, lines + count
    for number in wal.numbers(directory / "wal"):
        if number <= through:
            continue
        found = _read(wal.path_of(directory / "wal", number))
        files, lines = files + bool(found[0]), lines + found[0]
        if found[1]:
            damages.append(Damage(f"wal/{wal.path_of(directory, number).name}", found[1], 0))
    damages += [
        Damage(f"wal/{path.name}", "it was damaged when it was sealed; what could be read of it is in segments", 0)
        for path in sorted((directory / "wal").glob("*.damaged"))
    ]
    return Report(files, lines, tuple(damages))


def _verify(path: Path) -> str:
    try:
        return Segment(path).verify()
    except FileNotFoundError:
        return "it is missing"
    except Damaged as damaged:
        return damaged.reason


def _read(path: Path) -> tuple[int, str]:
    """The lines of a file of the log, and what is damaged in it."""
    try:
        reader = wal.Reader(path)
    except FileNotFoundError:  # sealed meanwhile
        return 0, ""
    try:
        lines = sum(share.lines for frame in reader.frames() for share in frame.shares)
        _, damaged = reader.whole()
        return lines, f"frames at {', '.join(map(str, damaged[:3]))} do not fit their checksums" if damaged else ""
    finally:
        reader.close()
