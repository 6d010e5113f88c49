"""A small lock to test with, and strategies that make others."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from bluestone.model.lock import Lock, LockedPackage, Release

DAY = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


def release(suite: str = "trixie", archive: str = "main", sha256: str = "a" * 64, date: datetime = DAY) -> Release:
    return Release(archive, suite, "trixie", date, None, sha256)


def package(name: str = "web", version: str = "1.0-1", digit: str = "1", **changes: object) -> LockedPackage:
    """A package whose SHA-256 is one digit."""
    source = str(changes.get("source", name))
    archive = str(changes.get("archive", "main"))
    suite = str(changes.get("suite", "trixie"))
    path = str(changes.get("path", f"pool/{name}_{version}.deb"))
    required = bool(changes.get("required", False))
    return LockedPackage(name, version, "amd64", digit * 64, 42, path, archive, suite, source, version, required)


LOCK = Lock(
    base="debian:trixie",
    architecture="amd64",
    date=int(DAY.timestamp()),
    asked=("dbus", "web"),
    releases=(release(), release("trixie-security", "security", "b" * 64)),
    packages=(
        package("dbus", digit="2"),
        package("libz1", "1:1.2-3+b1", "3", source="zlib"),
        package("web"),
    ),
    inputs={'image.files."/srv"': "c" * 64},
    tools={"puppet": (package("ruby", digit="4"),)},
)

_hashes = st.integers(0, 2**256 - 1).map("{:064x}".format)
_names = st.sampled_from(["a0", "dbus", "g++-14", "libz1", "libssl3t64", "python3.13", "web"])
_versions = st.sampled_from(["0", "1.0-1", "1.0-1+b1", "1:1.2-3+deb13u1", "2.0~rc1-1", "2026b"])
_words = st.sampled_from(["main", "security", "elastic", "a", "x-1"])
_suites = st.sampled_from(["trixie", "trixie-updates", "stable/updates", "./", "/"])
_dates = st.integers(0, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
_releases = st.builds(
    Release,
    archive=_words,
    suite=_suites,
    codename=st.sampled_from(["", "trixie", 'of "two" \\ words']),
    date=_dates,
    valid_until=st.none() | _dates,
    sha256=_hashes,
)
_remote = st.builds(
    LockedPackage,
    name=_names,
    version=_versions,
    architecture=st.sampled_from(["amd64", "all"]),
    sha256=_hashes,
    size=st.integers(1, 2**40),
    path=st.sampled_from(["a.deb", "pool/main/w/web/web_1%3a2~3+b1_amd64.deb"]),
    archive=_words,
    suite=_suites,
    source=_names,
    source_version=_versions,
    required=st.booleans(),
)
_packages = st.lists(_remote, min_size=1, max_size=4, unique_by=lambda one: one.key).map(
    lambda packages: tuple(sorted(packages, key=lambda one: one.key))
)
locks = st.builds(
    Lock,
    base=st.sampled_from(["debian:trixie", "ubuntu:noble"]),
    architecture=st.just("amd64"),
    date=st.integers(0, 2**33),
    asked=st.lists(_names, max_size=4, unique=True).map(lambda names: tuple(sorted(names))),
    releases=st.lists(_releases, max_size=3, unique_by=lambda one: (one.archive, one.suite)).map(
        lambda releases: tuple(sorted(releases, key=lambda one: (one.archive, one.suite)))
    ),
    packages=_packages,
    inputs=st.dictionaries(st.text(max_size=20), _hashes, max_size=3),
    tools=st.dictionaries(_words, _packages, max_size=2),
)
