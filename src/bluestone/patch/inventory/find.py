"""A query -> an answer, by the index."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bluestone.host.garbage import undisturbed
from bluestone.model.bom import Ecosystem
from bluestone.model.ids import Digest
from bluestone.patch.inventory.answer import Answer, Finding, Silent, When
from bluestone.patch.inventory.index import Index, unpacked
from bluestone.patch.inventory.lives import images, images_in_question, lives
from bluestone.patch.inventory.query import Query, folded

UNTOLD = ("deb",)
"""Ecosystems whose packages no file hides that could not be identified."""


class _Hit(Struct, frozen=True, gc=False):
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
    with undisturbed():
        return _found(index, query, when)


def _found(index: Index, query: Query, when: When) -> Answer:
    hits = _hits(index, query)
    asked = images_in_question(index, when)
    here = {Digest(digest) for (digest,) in index.rows("SELECT digest FROM image WHERE here")}  # type: ignore[arg-type]
    found = _findings(index, [hit for hit in hits if hit.admitted])
    holding = {image for finding in found for image in finding.images}
    silent = [
        *_unread(asked),
        *_incomparable(index, hits, asked.keys() - holding),
        *(_unidentified(index, asked) if query.ecosystem not in UNTOLD else ()),
    ]
    shown = asked.keys() | here
    return Answer(
        findings=tuple(_within(found, shown) if holding - shown else found),
        servers=tuple(lives(index, holding & asked.keys(), when)),
        unused=tuple(sorted(holding & here - asked.keys())),
        silent=tuple(silent),
    )


def _within(found: Iterable[Finding], shown: Collection[Digest]) -> Iterator[Finding]:
    """What was found in images that are shown."""
    for finding in found:
        if here := tuple(image for image in finding.images if image in shown):
            yield replace(finding, images=here)


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
    artifact, is_glob = query.name.rpartition(":")[2], query.is_glob
    # Of most packages the artifact is the name, and `package_artifact` has none of these.
    if is_glob:
        named, values = "folded GLOB ?1 OR artifact <> folded AND artifact GLOB ?1", [query.name]
    else:
        named = "folded IN (?1, ?2, ?3) OR artifact <> folded AND artifact = ?3"
        values = [query.name, folded("pypi", query.name), artifact]
    columns = ("id", "ecosystem", "name", "version", "purl", "folded")
    for row in zip(*index.columns(columns, f"FROM package WHERE {named}", values), strict=True):
        number, ecosystem, name, version, purl, known_as = row
        if query.ecosystem not in (None, ecosystem):
            continue
        because = "name"
        if not is_glob and known_as != folded(ecosystem, query.name):
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
    """Where packages are, ordered by package and place."""
    by_package = {hit.package: hit for hit in hits}
    digests = images(index)
    rows: Any = index.rows(
        "SELECT package, place, images FROM holding WHERE package IN (SELECT value FROM json_each(?))",
        [msgspec.json.encode(list(by_package)).decode()],
    )
    places = _places(index, {place for _, place, _ in rows})
    found = []
    for package, place, numbers in rows:
        hit, (path, owner, evidence, confidence, declared) = by_package[package], places[place]
        # By position, in the order of `Finding`: words would take as long again.
        found.append(
            Finding(
                tuple(map(digests.__getitem__, unpacked(numbers))),
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


def _unread(asked: Mapping[Digest, bool]) -> Iterator[Silent]:
    yield from (Silent(digest, "unread") for digest, read in sorted(asked.items()) if not read)


def _incomparable(index: Index, hits: list[_Hit], others: set[Digest]) -> Iterator[Silent]:
    """Of images in which nothing was found."""
    if odd := [hit for hit in hits if hit.admitted is None]:
        for finding in _within(_findings(index, odd), others):
            for image in finding.images:
                yield Silent(image, "incomparable", 1, f"{finding.name} {finding.version} at {finding.path}")


def _unidentified(index: Index, asked: Mapping[Digest, bool]) -> Iterator[Silent]:
    rows: Any = index.rows(
        "SELECT digest, count(*), min(path) FROM unidentified JOIN image ON image.id = image"
        " GROUP BY image ORDER BY digest"
    )
    for digest, files, path in rows:
        if digest in asked:
            yield Silent(digest, "unidentified", files, path)
