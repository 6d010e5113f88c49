"""What the archives of a base have now: the newest version of each source package, and what tells of its changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bluestone.host.commands import require
from bluestone.host.paths import private_directory
from bluestone.image.apt import isolated
from bluestone.image.archive import ResolvedBase
from bluestone.image.changelog import changelog_of
from bluestone.image.lock import index
from bluestone.image.lock.archives import Archives, recall
from bluestone.image.packagestore import PackageStore
from bluestone.model.lock import LockedPackage, Release
from bluestone.model.problem import Problem

Newer = Callable[[str, str], bool]
"""Whether the first of two versions is the newer."""

TRIED = 3
"""Packages of a source that are looked into for its changelog; in some, its place only names another's."""


@dataclass
class Published:
    """What archives have: by source package and by archive (`main`, `security`, a declared name) the newest version.

    `packages` are those built from the newest version of all, as an index describes them. Nothing of it was read where
    the releases are those that were `known`.
    """

    releases: tuple[Release, ...]
    known: bool = False
    newest: dict[str, dict[str, str]] = field(default_factory=dict)
    packages: Mapping[str, list[tuple[index.Stanza, str, str, str]]] = field(default_factory=dict, repr=False)


def published(
    base: ResolvedBase, kept: Path, newer: Newer, known: Collection[str], progress: Callable[[str], None]
) -> Published:
    """What the archives of a base have, which apt checks; `kept` is where its lists are from one time to the next.

    Nothing is read but the releases if all of these are known, by their digests. Raises `Problem` and `Problems`.
    """
    for tool in ("apt-get", "dpkg-deb", "setpriv"):
        require(tool)
    progress(f"asking the archives of {base.distribution}:{base.suite} what they have")
    with isolated(base) as apt:
        recall(kept, apt.lists)
        archives = Archives(apt, base)
        archives.update()
        releases = archives.releases()
        if {release.sha256 for release in releases} == set(known):
            return Published(releases, known=True)
        found = Published(releases)
        found.packages = _take(found.newest, archives.indexes(), newer)
        _keep(apt.lists, kept)
    return found


def changelogs(
    found: Published, sources: Iterable[str], base: ResolvedBase, store: PackageStore, progress: Callable[[str], None]
) -> Iterator[tuple[str, str | None]]:
    """The changelogs of the newest versions of source packages, None of one that has none.

    One whose packages could not be fetched is left out: it may be there the next time.
    """
    candidates = {source: _smallest(found.packages.get(source, [])) for source in sources}
    with store.in_use():
        for turn in range(TRIED):
            wanted = {source: those[turn] for source, those in candidates.items() if len(those) > turn}
            _fetch(wanted, base, store, progress)
            for source, package in wanted.items():
                if store.missing([package]):
                    del candidates[source]
                elif text := changelog_of(store.path(package.sha256)):
                    del candidates[source]
                    yield source, text
    for source in candidates:
        yield source, None


def _take(
    newest: dict[str, dict[str, str]], indexes: Iterable[index.Index], newer: Newer
) -> Mapping[str, list[tuple[index.Stanza, str, str, str]]]:
    best: dict[str, str] = {}
    packages: dict[str, list[tuple[index.Stanza, str, str, str]]] = {}
    for each in indexes:
        for path, stanza in each.stanzas.items():
            source, version = index.source_of({name: stanza.first(name) for name in ("Package", "Source", "Version")})
            offers = newest.setdefault(source, {})
            # Most packages are of a source that was just seen, in the same version.
            if (known := offers.get(each.archive)) != version and (known is None or newer(version, known)):
                offers[each.archive] = version
            if (known := best.get(source)) != version and (known is None or newer(version, known)):
                best[source], packages[source] = version, []
            if version == best[source]:
                packages[source].append((stanza, path, each.archive, each.suite))
    return packages


def _smallest(packages: Iterable[tuple[index.Stanza, str, str, str]]) -> list[LockedPackage]:
    found = sorted((index.locked(*each) for each in packages), key=lambda package: (package.size, package.key))
    return found[:TRIED]


def _fetch(
    wanted: Mapping[str, LockedPackage], base: ResolvedBase, store: PackageStore, progress: Callable[[str], None]
) -> None:
    """Fetch packages; if some cannot be had, the others are."""
    try:
        store.ensure(wanted.values(), base, progress)
    except Problem:
        return  # Whoever misses one says so, of its source.


def _keep(lists: Path, kept: Path) -> None:
    """Keep apt's lists, for it to ask only for what has changed."""
    draft = kept.with_name(f".{kept.name}.new")
    shutil.rmtree(draft, ignore_errors=True)  # Of one that was killed.
    private_directory(draft)
    for file in lists.iterdir():
        if file.is_file() and file.name != "lock":
            shutil.copy2(file, draft)
    shutil.rmtree(kept, ignore_errors=True)
    draft.replace(kept)
