"""Carries lines from one store to another: JSON lines with who wrote each, and back."""

from __future__ import annotations

import base64
import io
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import msgspec
import zstandard
from msgspec.structs import replace

from bluestone.logs.ingest.lines import Line, parse_line
from bluestone.logs.store.build import Entry, build
from bluestone.logs.store.database import connect
from bluestone.logs.store.seal import alone, by_day, date, identities, name
from bluestone.logs.store.sealed import Sealed
from bluestone.logs.store.view import view
from bluestone.model.problem import Problem
from bluestone.model.record import Identity, Record

AT_ONCE = 200_000
"""Lines that are in memory while they are taken in."""

LONGEST = 64 << 20

Name = int | tuple[int, bytes]


class Carried(msgspec.Struct):
    """A line on its way. `at` is in microseconds since 1970; an original that is no UTF-8 travels as base64."""

    identity: Identity
    at: int
    original: str = ""
    original_base64: str = ""

    def content(self) -> bytes:
        """The line as it came."""
        return base64.b64decode(self.original_base64) if self.original_base64 else self.original.encode()


def export(records: Iterable[Record], output: Path) -> int:
    """Write lines to a file; to standard output if it is `-`. How many there were. Raises `OSError`."""
    count = 0
    with _writing(output) as file:
        for record in records:
            file.write(msgspec.json.encode(_carried(record)) + b"\n")
            count += 1
    return count


def take_in(directory: Path, source: Path) -> tuple[int, int]:
    """Store the lines of a file as sealed ones; how many are new, and how many were there.

    Raises `Problem` if the file is none of `export`; what came before the fault is stored then, and taken in once more
    it is known.
    """
    new = known = 0
    with alone(directory), closing(connect(directory)) as database:
        unsealed = _unsealed(directory, database)
        batch: list[Carried] = []
        for line in _read(source):
            batch.append(line)
            if len(batch) == AT_ONCE:
                fresh = _store(directory, database, batch, unsealed)
                new, known, batch = new + fresh, known + len(batch) - fresh, []
        fresh = _store(directory, database, batch, unsealed)
    return new + fresh, known + len(batch) - fresh


def _store(directory: Path, database: sqlite3.Connection, batch: list[Carried], unsealed: set[tuple[int, Name]]) -> int:
    sealed = Sealed(directory, database)
    servers: dict[Identity, int] = {}
    entries, seen = [], set(unsealed)
    counts: dict[int, int] = {}
    for carried in batch:
        if carried.identity not in servers:
            servers[carried.identity] = _enter(database, carried.identity)
        server, original = servers[carried.identity], carried.content()
        line = replace(parse_line(original, carried.at), at=carried.at)
        there = sealed.has_equal(server, line) if line.key is None else sealed.has(server, line)
        if there or (server, _name(line)) in seen:
            continue
        seen.add((server, _name(line)))
        entries.append(Entry(server, line.at, original))
        counts[server] = counts.get(server, 0) + (line.goodbye is None)
    rows = []
    for day, lines in by_day(entries).items():
        file = f"{date(day)}/import-{secrets.token_hex(6)}.seg"
        lines.sort(key=lambda entry: (entry.server, entry.at))
        rows.append((file, build(directory / "days" / file, lines, identities(database))))
    database.execute("BEGIN IMMEDIATE")
    try:
        for file, footer in rows:
            name(directory, database, file, footer, (0, 0))
        for server, count in counts.items():
            database.execute("UPDATE servers SET lines = lines + ? WHERE id = ?", (count, server))
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    return len(entries)


def _enter(database: sqlite3.Connection, identity: Identity) -> int:
    database.execute(
        'INSERT OR IGNORE INTO servers (name, project, "group", generation, image) VALUES (?, ?, ?, ?, ?)',
        (identity.server, identity.project, identity.group, identity.generation, identity.image),
    )
    row = database.execute(
        'SELECT id, project, "group", generation, image FROM servers WHERE name = ?', (identity.server,)
    ).fetchone()
    if tuple(row[1:]) != (identity.project, identity.group, identity.generation, identity.image):
        raise Problem(
            f"another server of this store is called {identity.server}",
            mend="take the lines into the store of a project of their own",
        )
    return int(row[0])


def _unsealed(directory: Path, database: sqlite3.Connection) -> set[tuple[int, Name]]:
    now = view(directory, database, {})
    found = {
        (share.server, _name(replace(parse_line(each.original, each.at), at=each.at)))
        for log in now.logs
        for frame in log.frames()
        for share, lines in frame.lines()
        for each in lines
    }
    now.close()
    return found


def _name(line: Line) -> Name:
    """What tells a line from others of its server: its name, else when it was written and what it says."""
    return (line.at, line.original) if line.key is None else line.key


def _carried(record: Record) -> Carried:
    from bluestone.logs.query.asked import micros

    at = micros(record.at)
    try:
        return Carried(record.identity, at, original=record.original.decode())
    except UnicodeDecodeError:
        return Carried(record.identity, at, original_base64=base64.b64encode(record.original).decode())


def _writing(output: Path) -> IO[bytes]:
    if str(output) == "-":
        return io.FileIO(1, "wb", closefd=False)
    file = output.open("wb")
    return zstandard.ZstdCompressor(level=9).stream_writer(file) if output.suffix == ".zst" else file


def _read(source: Path) -> Iterator[Carried]:
    with source.open("rb") as file:
        compressed = source.suffix == ".zst"
        content = zstandard.ZstdDecompressor().stream_reader(file) if compressed else file
        lines = io.BufferedReader(content)
        number = 0
        while line := lines.readline(LONGEST):
            number += 1
            try:
                yield _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Problem(
                    f"line {number} of {source} is none that was exported: {error}",
                    mend="export it again; lines before it were taken in",
                ) from error


_decoder = msgspec.json.Decoder(Carried)
