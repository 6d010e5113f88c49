"""Labelled truth: every package of a release's own suite, against the index of its security suite.

A package is in need of a fix if the security suite has a newer version of its source. That is found twice: by the feed
of the archive and the matching of exposures; and by reading the same two indexes line by line, and asking apt_pkg
which of two versions is the newer one.

Of all packages of a suite apt itself has no opinion: they cannot be installed together. So it is asked about a server
with a good many of them (`INSTALLED`, and all that they need): what of it would `dist-upgrade` replace?
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

import version_orders
from bench.images.figures import Figures, note
from bluestone.image.apt import Apt, isolated
from bluestone.image.archive import ResolvedBase, resolve
from bluestone.image.lock.archives import Archives
from bluestone.image.lock.index import Index, installed, source_of
from bluestone.image.lock.resolve import install, uris
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
INSTALLED = (
    *(
        "apache2",
        "bind9",
        "clamav",
        "curl",
        "default-jdk-headless",
        "dovecot-imapd",
        "emacs-nox",
        "exim4",
        "ffmpeg",
        "git",
    ),
    *("gnupg", "haproxy", "imagemagick", "libreoffice-calc", "linux-image-amd64", "mariadb-server", "nginx", "nodejs"),
    *(
        "openssh-server",
        "openvpn",
        "perl",
        "php-fpm",
        "podman",
        "postgresql",
        "python3",
        "qemu-system-x86",
        "redis-server",
    ),
    *("rsync", "ruby", "samba", "squid", "strongswan", "tomcat10", "unbound", "vim", "webkit2gtk-driver", "wireshark"),
)
"""A server of everything, which no one has; each package is in both suites."""
KERNEL = re.compile(r"linux-(image|headers|modules)-\d")
IMAGE = Digest("sha256:" + "0" * 64)
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def measure() -> Figures:
    """Differences in both directions, over all releases that this machine's archive has."""
    packages = positives = alarms = misses = apt_packages = apt_differences = 0
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
        server, differing = _apts_opinion(suite, own, secure, ours)
        apt_packages, apt_differences = apt_packages + server, apt_differences + differing
    return Figures(
        {},
        {
            "labelled_packages": packages,
            "labelled_positives": positives,
            "false_positives": alarms if packages else None,
            "false_negatives": misses if packages else None,
            "dist_upgrade_packages": apt_packages,
            "dist_upgrade_differences": apt_differences if apt_packages else None,
        },
    )


def _apts_opinion(suite: str, own: Index, secure: Index, ours: Collection[str]) -> tuple[int, int]:
    """How many packages a server of `INSTALLED` has, and how many of them apt would replace and we would not, or the
    other way round."""
    with isolated(_base(suite)) as apt:
        archives = Archives(apt, _base(suite))
        archives.update()
        # Of two versions that are not installed, the one of the suite itself.
        apt.preferences.write_text(f"Package: *\nPin: release n={suite}\nPin-Priority: 1001\n")
        there = _paths(apt, install(INSTALLED), own)
        apt.preferences.write_text("")
        apt.status.write_text(installed(own.stanzas[path].text for path in there))
        newer = uris(apt.run(["apt-get", "--yes", "--print-uris", "dist-upgrade"]).tail)
    fetched = {uri.removeprefix(f"{secure.uri}/") for uri in newer} & secure.stanzas.keys()
    names = {secure.stanzas[path].first("Package") for path in fetched}
    theirs = {path for path in there if own.stanzas[path].first("Package") in names}
    # A kernel has its version in its name: apt brings its successor beside it, of the same source.
    sources = {source_of(secure.stanzas[path].fields)[0] for path in fetched}
    kernels = {path for path in there - theirs if KERNEL.match(own.stanzas[path].first("Package"))}
    theirs |= {path for path in kernels if source_of(own.stanzas[path].fields)[0] in sources}
    differing = theirs ^ (there & set(ours))
    for path in sorted(differing)[:10]:
        note(f"{suite}: {'apt' if path in theirs else 'bluestone'} alone would replace {path}")
    note(f"{suite}: a server of {len(there)} packages: dist-upgrade replaces {len(theirs)}, {len(differing)} differ")
    return len(there), len(differing)


def _paths(apt: Apt, command: Sequence[str], own: Index) -> set[str]:
    """The paths of what apt would fetch, of those that an index has."""
    ending = apt.run(command)
    assert not ending.status, ending.quoted()
    return {path for uri in uris(ending.tail) if (path := uri.removeprefix(f"{own.uri}/")) in own.stanzas}


def _base(suite: str) -> ResolvedBase:
    """The suite itself, and its security suite."""
    base = resolve(Base("debian", suite))
    return replace(base, sources=tuple(each for each in base.sources if not each.suite.endswith("-updates")))


def _indexes(suite: str) -> tuple[Index, Index]:
    """The index of the suite itself, and that of its security suite."""
    only = _base(suite)
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
