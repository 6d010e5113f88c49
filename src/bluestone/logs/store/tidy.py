"""Keeps the segments in order: removes what need not be kept, and merges those that are many and small.

Every change is one transaction of the catalogue; new files are there before it, old ones go after it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bluestone.logs.store.build import Entry, build
from bluestone.logs.store.database import connect
from bluestone.logs.store.keeping import Kept, Part, get_rules, holds, removals
from bluestone.logs.store.parts import Damaged
from bluestone.logs.store.seal import alone, identities, name
from bluestone.logs.store.segment import Segment
from bluestone.model.record import Identity

SMALL = 50_000
"""Lines below which a segment is better merged."""

MANY = 8
"""Small segments of a day, beyond which they are merged."""

LARGEST = 400_000
"""Lines of a merged segment: that many are in memory while it is made."""


def tidy(directory: Path, now: datetime | None = None) -> None:
    """Remove and merge what is due. Raises `OSError`, `sqlite3.Error`; what is left is done the next time."""
    with alone(directory):
        database = connect(directory)
        try:
            _remove(directory, database, now or datetime.now(UTC))
            _merge(directory, database)
        finally:
            database.close()


def _remove(directory: Path, database: sqlite3.Connection, now: datetime) -> None:
    rules = get_rules(database)
    if rules.age is None and rules.size is None and not rules.groups:
        return
    segments = {file: segment for file, _, _, segment in _open(directory, database)}
    kept = [Kept(file, segment.path.stat().st_size, _parts(segment)) for file, segment in segments.items()]
    held = {each.target for each in holds(database)}
    for removal in removals(kept, rules, held, now):
        segment = segments[removal.file]
        if all(part.server in removal.servers for part in _parts(segment)):
            replace(directory, database, [removal.file], None, [])
            continue
        left = [entry for entry, identity in entries(segment) if identity.server not in removal.servers]
        replace(directory, database, [removal.file], _next_name(removal.file), left)


def _merge(directory: Path, database: sqlite3.Connection) -> None:
    days: dict[str, list[tuple[str, Segment]]] = defaultdict(list)
    for file, first, _, segment in _open(directory, database):
        if segment.lines < SMALL and first:
            days[file.partition("/")[0]].append((file, segment))
    for small in days.values():
        while len(small) > MANY:
            chosen: list[tuple[str, Segment]] = []
            while small and sum(segment.lines for _, segment in chosen) + small[0][1].lines <= LARGEST:
                chosen.append(small.pop(0))
            merged = [entry for _, segment in chosen for entry, _ in entries(segment)]
            replace(directory, database, [file for file, _ in chosen], _next_name(chosen[-1][0]), merged)


def replace(
    directory: Path, database: sqlite3.Connection, old: Sequence[str], new: str | None, lines: list[Entry]
) -> None:
    """Put a segment of these lines in the place of others, or none."""
    footer = None
    if new:
        lines.sort(key=lambda entry: (entry.server, entry.at))
        footer = build(directory / "days" / new, lines, identities(database))
    marks = ", ".join("?" * len(old))
    select = f"SELECT min(first_wal), max(last_wal) FROM segments WHERE file IN ({marks})"  # noqa: S608
    database.execute("BEGIN IMMEDIATE")
    try:
        logs = database.execute(select, old).fetchone()
        database.execute(f"DELETE FROM segments WHERE file IN ({marks})", old)  # noqa: S608
        if new and footer:
            name(directory, database, new, footer, logs)
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    for file in old:
        path = directory / "days" / file
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # if it was the last of its day


def entries(segment: Segment) -> Iterator[tuple[Entry, Identity]]:
    """All lines of a segment, and who wrote each. Raises `Damaged`."""
    for place, span in enumerate(segment.footer.spans):
        identity = segment.identity(place)
        times = segment.at[span.first : span.first + span.lines].tolist()
        for at, original in zip(times, segment.read(span.first, span.lines), strict=True):
            yield Entry(span.server, at, original), identity


def _open(directory: Path, database: sqlite3.Connection) -> Iterator[tuple[str, int, int, Segment]]:
    """The segments that can be read, with the files of the log that they hold; damaged ones are left as they are."""
    rows = database.execute("SELECT file, first_wal, last_wal FROM segments ORDER BY file").fetchall()
    for file, first, last in rows:
        with contextlib.suppress(Damaged, FileNotFoundError):
            yield file, first, last, Segment(directory / "days" / file)


def _parts(segment: Segment) -> list[Part]:
    identity: Callable[[int], Identity] = segment.identity
    return [
        Part(identity(place).server, identity(place).group, span.newest, span.lines)
        for place, span in enumerate(segment.footer.spans)
    ]


def _next_name(file: str) -> str:
    """A name that no segment had: the last one's, with a number behind it that counts up."""
    stem = file.removesuffix(".seg")
    base, _, number = stem.partition("+")
    return f"{base}+{int(number or 0) + 1}.seg"
