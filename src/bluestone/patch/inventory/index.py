"""The inventory's index: one SQLite file, derived from images' bills and projects' journals, and disposable.

Reading 1,000 bills takes seconds, so each is read once. A file that is damaged, or of another schema, is made anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bluestone.host.paths import private_directory
from bluestone.model.bom import Bom, Component
from bluestone.model.event import Event
from bluestone.model.ids import Digest
from bluestone.model.lifetime import Change
from bluestone.model.problem import Problem
from bluestone.patch.inventory.query import folded
from bluestone.patch.sources import origins

VERSION = 3
"""Of the schema and of what is derived; kept in SQLite's `user_version`."""

PATIENCE = 30.0
"""Seconds to wait for another process that brings the index up to date."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

FOREVER = (1 << 63) - 1
"""In the place of the end of a server that exists."""

NUMBERS: Final = "I"
"""Of the numbers in a BLOB: as this machine has them, since no other one reads the file."""

OF_PROJECT = "grp IN (SELECT id FROM grp WHERE project = ?)"
"""The condition on a lifetime that its server is of a project."""

_Place = tuple[str, str, str, float, int]
"""Path, owner, evidence, confidence, and whether it is only declared."""


class Mark(Struct, frozen=True):
    """The last entry of a journal that was read; 0, if none was."""

    sequence: int = 0
    at: str = ""
    kind: str = ""
    server: str = ""

    @classmethod
    def of(cls, event: Event) -> Mark:
        """That of an entry."""
        return cls(event.sequence, event.at.isoformat(), event.kind, event.server)


class Index:
    """The index in the file `path`, which is made if missing. Any call raises `Problem` when it cannot be used."""

    def __init__(self, path: Path) -> None:
        private_directory(path.parent)
        self._path = path
        self._packages: dict[Component, int] = {}
        self._places: dict[_Place, int] = {}
        self._images: dict[Digest, int] = {}
        self._groups: dict[tuple[str, str], int] = {}
        with _said(path):
            try:
                self.db = _opened(path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                _remove(path)
                self.db = _opened(path)

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All that is changed meanwhile is, or nothing; others wait."""
        with _said(self._path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._packages.clear()
                self._places.clear()
                self._images.clear()
                self._groups.clear()
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def stamps(self) -> dict[Digest, str]:
        """The stamps of the bills that were read, by image."""
        with _said(self._path):
            return {Digest(d): s for d, s in self.db.execute("SELECT digest, stamp FROM image WHERE stamp <> ''")}

    def add(self, bom: Bom, stamp: str) -> None:
        """Take in a bill, in the place of what was known of that image. `stamp` tells whether a bill is the same."""
        image = self._image(bom.image)
        if self._is_read(image):
            self._let_go(image)
        self.db.execute("UPDATE image SET stamp = ? WHERE id = ?", (stamp, image))
        held = {(self._package(each), self._place(each)) for each in bom.components}
        self.db.executemany(
            "INSERT INTO holding VALUES (?1, ?2, ?3)"
            " ON CONFLICT DO UPDATE SET images = CAST(images || excluded.images AS BLOB)",
            [(*each, packed([image])) for each in held],
        )
        rows = [(image, each.path) for each in bom.unidentified]
        self.db.executemany("INSERT OR REPLACE INTO unidentified VALUES (?, ?)", rows)

    def note_here(self, images: Collection[Digest]) -> None:
        """These images are on this machine, and no others. What was in those that are gone stays known."""
        known = {digest for (digest,) in self.db.execute("SELECT digest FROM image WHERE here")}
        self.db.executemany("UPDATE image SET here = 0 WHERE digest = ?", [(each,) for each in known - set(images)])
        for digest in set(images) - known:
            self.db.execute("UPDATE image SET here = 1 WHERE id = ?", (self._image(digest),))

    def mark(self, project: str) -> Mark:
        """How far a project's journal was read."""
        row = self.db.execute("SELECT sequence, at, kind, server FROM journal WHERE project = ?", (project,)).fetchone()
        return Mark(*row) if row else Mark()

    def forget(self, project: str) -> None:
        """Forget what a project's journal said: it is another one now."""
        self.db.execute(f"DELETE FROM lifetime WHERE {OF_PROJECT}", (project,))  # noqa: S608 - our own words
        self.db.execute("DELETE FROM journal WHERE project = ?", (project,))

    def follow(self, project: str, changes: Iterable[Change], mark: Mark) -> None:
        """Take in what happened to a project's servers, up to `mark`."""
        for change in changes:
            at = (change.at - EPOCH) // MICROSECOND
            if change.kind == "began" and change.image:
                self.db.execute(
                    "INSERT OR IGNORE INTO lifetime VALUES (?, ?, ?, ?, ?)",
                    (change.server, self._group(project, change.group), self._image(change.image), at, FOREVER),
                )
            elif change.kind != "began":
                self.db.execute(
                    f"UPDATE lifetime SET ended = ? WHERE server = ? AND {OF_PROJECT}",  # noqa: S608 - as above
                    (at if change.kind == "ended" else FOREVER, change.server, project),
                )
        self.db.execute(
            "INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?, ?)",
            (project, mark.sequence, mark.at, mark.kind, mark.server),
        )

    def rows(self, query: str, values: Iterable[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query's answer."""
        with _said(self._path):
            return self.db.execute(query, tuple(values)).fetchall()

    def columns(self, names: Sequence[str], rest: str, values: Iterable[object] = ()) -> list[list[Any]]:
        """The columns of a query's answer, a list each; `rest` is what follows their names.

        They come as one JSON each: tens of thousands of rows take half the time that a tuple for each would.
        """
        arrays = ", ".join(f"json_group_array({name})" for name in names)
        ((*found,),) = self.rows(f"SELECT {arrays} {rest}", values)
        return [msgspec.json.decode(str(each)) for each in found]

    def _is_read(self, image: int) -> bool:
        ((stamp,),) = self.db.execute("SELECT stamp FROM image WHERE id = ?", (image,))
        return bool(stamp)

    def _let_go(self, image: int) -> None:
        """Forget what an image has. All is looked through: a bill that is written anew is rare."""
        self.db.execute("DELETE FROM unidentified WHERE image = ?", (image,))
        for package, place, images in self.db.execute("SELECT package, place, images FROM holding").fetchall():
            if image in (numbers := unpacked(images)):
                left = packed(number for number in numbers if number != image)
                change = "UPDATE holding SET images = ?" if left else "DELETE FROM holding"
                where = "WHERE package = ? AND place = ?"
                self.db.execute(f"{change} {where}", (*([left] if left else []), package, place))

    def _image(self, digest: Digest) -> int:
        if digest not in self._images:
            self.db.execute("INSERT OR IGNORE INTO image (digest) VALUES (?)", (digest,))
            ((number,),) = self.db.execute("SELECT id FROM image WHERE digest = ?", (digest,))
            self._images[digest] = int(number)
        return self._images[digest]

    def _group(self, project: str, name: str) -> int:
        key = (project, name)
        if key not in self._groups:
            self.db.execute("INSERT OR IGNORE INTO grp (project, name) VALUES (?, ?)", key)
            ((number,),) = self.db.execute("SELECT id FROM grp WHERE project = ? AND name = ?", key)
            self._groups[key] = int(number)
        return self._groups[key]

    def _package(self, component: Component) -> int:
        """The number of a package, which is that of the components that differ in nothing but where they are."""
        alike = replace(component, path="", evidence="", confidence=1.0, owner="", declared=False)
        number = self._packages.get(alike)
        if number is None:
            number = self._packages[alike] = self._find_or_add(alike)
        return number

    def _place(self, component: Component) -> int:
        """The number of where a component is and how that is known."""
        c = component
        alike = (c.path, c.owner, c.evidence, c.confidence, int(c.declared))
        number = self._places.get(alike)
        if number is None:
            insert = "INSERT OR IGNORE INTO place (path, owner, evidence, confidence, declared)"
            self.db.execute(f"{insert} VALUES (?, ?, ?, ?, ?)", alike)
            where = "path = ? AND owner = ? AND evidence = ? AND confidence = ? AND declared = ?"
            ((found,),) = self.db.execute(f"SELECT id FROM place WHERE {where}", alike)  # noqa: S608 - our own words
            number = self._places[alike] = int(found)
        return number

    def _find_or_add(self, component: Component) -> int:
        found = origins(component)
        named = (component.ecosystem, component.name, component.version, component.purl, _json(found))
        where = "ecosystem = ? AND name = ? AND version = ? AND purl = ? AND origins = ?"
        row = self.db.execute(f"SELECT id FROM package WHERE {where}", named).fetchone()  # noqa: S608 - our own words
        if row:
            return int(row[0])
        name = folded(component.ecosystem, component.name)
        artifact = name.rpartition(":")[2] if component.ecosystem == "maven" else name
        insert = "INSERT INTO package (ecosystem, name, version, purl, origins, folded, artifact)"
        cursor = self.db.execute(f"{insert} VALUES (?, ?, ?, ?, ?, ?, ?)", (*named, name, artifact))
        number = cursor.lastrowid
        self.db.executemany(
            "INSERT OR IGNORE INTO origin VALUES (?, ?, ?, ?)", [(o.name, number, o.version, o.how) for o in found]
        )
        return int(number or 0)


def packed(numbers: Iterable[int]) -> bytes:
    """Numbers as a BLOB has them."""
    return array(NUMBERS, numbers).tobytes()


def unpacked(blob: bytes) -> memoryview[int]:
    """The numbers in a BLOB. Raises `TypeError` if it was cut."""
    return memoryview(blob).cast(NUMBERS)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if _version(db) == VERSION:
            return db
        db.execute("BEGIN IMMEDIATE")
        if _version(db) not in (0, VERSION):
            raise sqlite3.DatabaseError("it is of another schema")
        if _version(db) == 0:
            for statement in (Path(__file__).parent / "schema.sql").read_text().split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection) -> int:
    ((version,),) = db.execute("PRAGMA user_version")
    return int(version)


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """What SQLite says, in words that help."""
    try:
        yield
    except sqlite3.Error as error:
        raise Problem(
            f"the inventory's index {path} cannot be used: {error}",
            mend="free some space on the disk, or remove that file: it is then made anew",
        ) from error
