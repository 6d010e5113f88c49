"""A query -> an answer, by the index."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Struct

from bluestone.model.bom import Ecosystem
from bluestone.model.ids import Digest
from bluestone.model.lifetime import Lifetime
from bluestone.patch.inventory.answer import Answer, Finding, Silent, When
from bluestone.patch.inventory.index import EPOCH, FOREVER, MICROSECOND, Index
from bluestone.patch.inventory.query import Query, folded

UNTOLD = ("deb",)
"""Ecosystems whose packages no file hides that could not be identified."""


class _Hit(Struct, frozen=True):
    """A package that has the name: whether it also has the version is `admitted`; None: they cannot be compared."""

    package: int
    ecosystem: Ecosystem
    name: str
    version: str
    purl: str
    because: str
    origin: str
    admitted: bool | None


def find(index: Index, query: Query, when: When) -> Answer:
    """Where the inventory has what is asked for. Raises `Problem`."""
    hits = _hits(index, query)
    asked = _images_in_question(index, when)
    here = {Digest(digest) for (digest,) in index.rows("SELECT digest FROM image WHERE here")}  # type: ignore[arg-type]
    found = _findings(index, [hit for hit in hits if hit.admitted])
    holding = {finding.image for finding in found}
    silent = [
        *_unread(asked),
        *_incomparable(index, hits, asked.keys() - holding),
        *(_unidentified(index, asked) if query.ecosystem not in UNTOLD else ()),
    ]
    shown = asked.keys() | here
    return Answer(
        findings=tuple(f for f in found if f.image in shown) if holding - shown else tuple(found),
        servers=tuple(_lives(index, holding & asked.keys(), when)),
        unused=tuple(sorted(holding & here - asked.keys())),
        silent=tuple(silent),
    )


def running(index: Index, project: str) -> list[Lifetime]:
    """The servers of a project that exist."""
    rows: Any = index.rows(
        "SELECT project, grp, began, server, ended, image FROM lifetime"
        " WHERE project = ? AND ended = ? ORDER BY grp, server",
        [project, FOREVER],
    )
    return _lifetimes(rows, _images(index))


def _hits(index: Index, query: Query) -> list[_Hit]:
    """One per package: what it is asked for by, by what admits it rather than by what does not."""
    hits: dict[int, _Hit] = {}
    for hit in (*_by_name(index, query), *_by_source(index, query)):
        known = hits.get(hit.package)
        if known is None or (hit.admitted is not False and not known.admitted):
            hits[hit.package] = hit
    return list(hits.values())


def _by_name(index: Index, query: Query) -> Iterator[_Hit]:
    if not query.by_name:
        return
    columns = "SELECT id, ecosystem, name, version, purl, folded FROM package WHERE"
    artifact = query.name.rpartition(":")[2]
    if query.is_glob:
        rows = index.rows(f"{columns} folded GLOB ?1 OR artifact GLOB ?1", [query.name])
    else:
        names = [query.name, folded("pypi", query.name), artifact]
        rows = index.rows(f"{columns} folded IN (?1, ?2) OR artifact = ?3", names)
    row: Any
    for row in rows:
        number, ecosystem, name, version, purl, known_as = row
        if query.ecosystem not in (None, ecosystem):
            continue
        because = "name"
        if not query.is_glob and known_as != folded(ecosystem, query.name):
            # An artifact known by its file's name alone may be of any group; a name without a group may mean any.
            if ecosystem != "maven" or (":" in query.name and ":" in known_as):
                continue
            because = "artifact" if ":" in query.name else "name"
        yield _Hit(number, ecosystem, name, version, purl, because, "", _admits(query, ecosystem, version))


def _by_source(index: Index, query: Query) -> Iterator[_Hit]:
    if not query.by_source:
        return
    comparison = "GLOB" if query.is_glob else "="
    rows = index.rows(
        "SELECT id, ecosystem, package.name, package.version, purl, how, origin.name, origin.version FROM origin"  # noqa: S608
        f" JOIN package ON package.id = origin.package WHERE origin.name {comparison} ?",
        [query.name],
    )
    row: Any
    for row in rows:
        number, ecosystem, name, version, purl, how, source, source_version = row
        admitted = _admits(query, ecosystem, source_version)
        yield _Hit(number, ecosystem, name, version, purl, how, f"{source} {source_version}", admitted)


def _admits(query: Query, ecosystem: Ecosystem, version: str) -> bool | None:
    try:
        return query.admits(ecosystem, version)
    except ValueError:
        return None


def _findings(index: Index, hits: Iterable[_Hit]) -> list[Finding]:
    """Where packages are, ordered by package, image and path."""
    by_package = {hit.package: hit for hit in hits}
    images = _images(index)
    # Numbers alone for each finding: texts are made once, however many images share them.
    rows: Any = index.rows(
        "SELECT package, image, place FROM holding WHERE package IN (SELECT value FROM json_each(?))",
        [msgspec.json.encode(list(by_package)).decode()],
    )
    places = _places(index, {place for _, _, place in rows})
    found = []
    for package, image, place in rows:
        hit, (path, owner, evidence, confidence, declared) = by_package[package], places[place]
        # By position, in the order of `Finding`: words would take as long again.
        found.append(
            Finding(
                images[image],
                hit.ecosystem,
                hit.name,
                hit.version,
                hit.purl,
                path,
                owner,
                evidence,
                confidence,
                declared,
                hit.because,
                hit.origin,
            )
        )
    return found


def _places(index: Index, numbers: Collection[int]) -> dict[int, tuple[str, str, str, float, bool]]:
    """Path, owner, evidence, confidence, and whether it is only declared."""
    rows: Any = index.rows(
        "SELECT id, path, owner, evidence, confidence, declared FROM place"
        " WHERE id IN (SELECT value FROM json_each(?))",
        [msgspec.json.encode(list(numbers)).decode()],
    )
    return {number: (path, owner, evidence, sure, bool(only)) for number, path, owner, evidence, sure, only in rows}


def _lived(when: When) -> tuple[str, list[int]]:
    """The condition on a lifetime, and its values."""
    if isinstance(when, datetime):
        at = (when - EPOCH) // MICROSECOND
        return "ended > ? AND began <= ?", [at, at]
    return ("ended = ?", [FOREVER]) if when == "now" else ("1", [])


def _images_in_question(index: Index, when: When) -> dict[Digest, bool]:
    """The images of the servers that are asked about, and whether a bill of each was read."""
    condition, values = _lived(when)
    rows: Any = index.rows(
        "SELECT digest, stamp FROM image WHERE EXISTS"  # noqa: S608 - our own words
        f" (SELECT 1 FROM lifetime WHERE image = image.id AND {condition})",
        values,
    )
    return {Digest(digest): stamp != "" for digest, stamp in rows}


_Life = tuple[str, str, int, str, int, int]
"""Project, group, begin, server, end, and the image's number."""


def _images(index: Index) -> dict[int, Digest]:
    """The images by their numbers."""
    rows: Any = index.rows("SELECT id, digest FROM image")
    return dict(rows)


def _lives(index: Index, images: Collection[Digest], when: When) -> list[Lifetime]:
    """The servers that ran these images, by project, group, begin and name."""
    condition, values = _lived(when)
    numbers = {number: digest for number, digest in _images(index).items() if digest in images}
    rows: Any = index.rows(
        "SELECT project, grp, began, server, ended, image FROM lifetime"  # noqa: S608 - our own words
        f" WHERE image IN (SELECT value FROM json_each(?)) AND {condition}",
        [msgspec.json.encode(list(numbers)).decode(), *values],
    )
    # One key after the other, the last first: a sort is stable, and comparing tuples takes several times as long.
    for column in (3, 2, 1, 0):
        rows.sort(key=itemgetter(column))
    return _lifetimes(rows, numbers)


def _lifetimes(rows: list[_Life], images: Mapping[int, Digest]) -> list[Lifetime]:
    begins = _moments([row[2] for row in rows])
    ends = iter(_moments([row[4] for row in rows if row[4] != FOREVER]))
    return [
        Lifetime(project, server, group, images[image], began, None if ended == FOREVER else next(ends))
        for (project, group, _, server, ended, image), began in zip(rows, begins, strict=True)
    ]


def _moments(microseconds: Iterable[int]) -> list[datetime]:
    """Exact until the year 2242, when seconds no longer have their microseconds in a binary fraction of 53 bits."""
    return [datetime.fromtimestamp(each / 1_000_000, UTC) for each in microseconds]


def _unread(asked: Mapping[Digest, bool]) -> Iterator[Silent]:
    yield from (Silent(digest, "unread") for digest, read in sorted(asked.items()) if not read)


def _incomparable(index: Index, hits: list[_Hit], images: set[Digest]) -> Iterator[Silent]:
    for finding in _findings(index, [hit for hit in hits if hit.admitted is None]):
        if finding.image in images:
            yield Silent(finding.image, "incomparable", 1, f"{finding.name} {finding.version} at {finding.path}")


def _unidentified(index: Index, asked: Mapping[Digest, bool]) -> Iterator[Silent]:
    rows: Any = index.rows(
        "SELECT digest, count(*), min(path) FROM unidentified JOIN image ON image.id = image"
        " GROUP BY image ORDER BY digest"
    )
    for digest, files, path in rows:
        if digest in asked:
            yield Silent(digest, "unidentified", files, path)


def lived_on(index: Index, project: str, images: Iterable[Digest], since: datetime) -> tuple[Lifetime, ...]:
    """The servers of a project that ran these images at some time from `since` on, by group and begin."""
    lives = [life for life in _lives(index, set(images), "ever") if life.project == project]
    return tuple(life for life in lives if life.ended is None or life.ended >= since)
