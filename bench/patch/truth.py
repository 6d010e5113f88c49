"""Labelled truth: every package of a release's own suite, against the index of its security suite.

A package is in need of a fix if the security suite has a newer version of its source. That is found twice: by the feed
of the archive and the matching of exposures; and by reading the same two indexes line by line, and asking apt_pkg
which of two versions is the newer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

import version_orders
from bench.images.figures import Figures, note
from bluestone.image.apt import isolated
from bluestone.image.archive import resolve
from bluestone.image.lock.archives import Archives
from bluestone.image.lock.index import Index, source_of
from bluestone.model.bom import Bom, Component
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem, Problems
from bluestone.model.recipe import Base
from bluestone.patch.estate import furnish
from bluestone.patch.exposure import Catalogue, exposures, match
from bluestone.patch.feeds import archive
from bluestone.patch.releases import CODENAMES
from bluestone.patch.versions import debian

SUITES = ("bookworm", "trixie")
IMAGE = Digest("sha256:" + "0" * 64)
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def measure() -> Figures:
    """Differences in both directions, over all releases that this machine's archive has."""
    packages = positives = alarms = misses = 0
    for suite in SUITES:
        try:
            own, secure = _indexes(suite)
        except (Problem, Problems) as problem:
            note(f"{suite}: {str(problem).splitlines()[0]}")
            continue
        ours, theirs = set(_ours(suite, own, secure)), set(_theirs(own, secure))
        packages, positives = packages + len(own.stanzas), positives + len(theirs)
        alarms, misses = alarms + len(ours - theirs), misses + len(theirs - ours)
        for each in sorted(ours ^ theirs)[:10]:
            note(f"{suite}: {'false alarm' if each in ours else 'missed'}: {each}")
        note(f"{suite}: {len(own.stanzas)} packages, {len(theirs)} of them in need of a fix")
    return Figures(
        {},
        {
            "labelled_packages": packages,
            "labelled_positives": positives,
            "false_positives": alarms if packages else None,
            "false_negatives": misses if packages else None,
        },
    )


def _indexes(suite: str) -> tuple[Index, Index]:
    """The index of the suite itself, and that of its security suite."""
    base = resolve(Base("debian", suite))
    only = replace(base, sources=tuple(each for each in base.sources if not each.suite.endswith("-updates")))
    with isolated(only) as apt:
        archives = Archives(apt, only)
        archives.update()
        own, secure = archives.indexes()
    return own, secure


def _ours(suite: str, own: Index, secure: Index) -> Iterator[str]:
    number = next(n for (name, n), codename in CODENAMES.items() if (name, codename) == ("debian", suite))
    newest: dict[str, dict[str, str]] = {}
    for stanza in secure.stanzas.values():
        source, version = source_of(stanza.fields)
        offers = newest.setdefault(source, {archive.SECURITY: version})
        if debian.key(version) > debian.key(offers[archive.SECURITY]):
            offers[archive.SECURITY] = version
    components = tuple(_components(own))
    snapshot = archive.Snapshot(suite, (), newest, {}, {})
    held = {each.source for each in components} & newest.keys()
    estate = furnish([Bom(IMAGE, "debian", number, components, (), ())])
    catalogue = Catalogue.of(archive.read(snapshot, held).advisories, estate.names)
    for each in exposures(match(estate, catalogue)):
        # The signed kernel is of a source of its own here, as in the indexes.
        if each.source == each.component.source:
            yield each.component.path


def _components(own: Index) -> Iterator[Component]:
    for path, stanza in own.stanzas.items():
        said = stanza.fields
        source, version = source_of(said)
        yield replace(
            Component("deb", said["Package"], said["Version"], f"pkg:deb/debian/{said['Package']}", path, "an index"),
            source=source,
            source_version=version,
        )


def _theirs(own: Index, secure: Index) -> Iterator[str]:
    """By another reading of the same texts, and apt_pkg's order."""
    mine, offered = list(_lines(own)), list(_lines(secure))
    by_source: dict[str, list[str]] = {}
    for _, source, version in offered:
        by_source.setdefault(source, []).append(version)
    asked = [(path, version, each) for path, source, version in mine for each in set(by_source.get(source, ()))]
    signs = version_orders.apt([(other, version) for _, version, other in asked])
    assert len(signs) == len(asked), "python3-apt is missing"
    yield from {path for (path, _, _), sign in zip(asked, signs, strict=True) if sign > 0}


def _lines(index: Index) -> Iterable[tuple[str, str, str]]:
    for path, stanza in index.stanzas.items():
        name = re.search(r"^Package: (\S+)$", stanza.text, re.M)
        version = re.search(r"^Version: (\S+)$", stanza.text, re.M)
        source = re.search(r"^Source: (\S+?)(?: \((\S+)\))?$", stanza.text, re.M)
        assert name and version
        yield path, source[1] if source else name[1], source[2] if source and source[2] else version[1]
