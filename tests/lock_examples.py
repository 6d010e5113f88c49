"""A small lock to test with, and strategies that make others."""

from __future__ import annotations

import string
from datetime import UTC, datetime

from hypothesis import strategies as st

from bluestone.model.lock import LOCAL, Lock, LockedPackage, Release

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

_alphabet = string.ascii_lowercase + string.digits
_hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
_names = st.text(_alphabet, min_size=2, max_size=12).filter(lambda text: text[0] in _alphabet)
_versions = st.from_regex(r"([0-9]:)?[0-9][0-9A-Za-z.+~]{0,8}(-[0-9]{1,2})?", fullmatch=True).map(str.strip)
_words = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
_suites = st.from_regex(r"[a-z]{1,8}(-updates|/|/updates)?", fullmatch=True)
_dates = st.integers(0, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
_releases = st.builds(
    Release,
    archive=_words,
    suite=_suites,
    codename=st.text(string.printable[:95], max_size=12),
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
    path=st.from_regex(r"pool/[a-z0-9+~%._-]{1,20}\.deb", fullmatch=True),
    archive=_words.filter(lambda word: word != LOCAL),
    suite=_suites,
    source=_names,
    source_version=_versions,
    required=st.booleans(),
)
_packages = st.lists(_remote, max_size=5, unique_by=lambda one: one.key).map(
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
    packages=_packages.filter(bool),
    inputs=st.dictionaries(st.text(max_size=20), _hashes, max_size=3),
    tools=st.dictionaries(_words, _packages.filter(bool), max_size=2),
)
