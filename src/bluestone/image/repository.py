"""A package repository made of the store's packages, for apt and mmdebstrap to read: a flat one, on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from bluestone.host.commands import run
from bluestone.image.packagestore import PackageStore
from bluestone.model.lock import Lock, LockedPackage

QUICK = 60.0
"""Seconds that reading one package's description may take."""


def write_index(directory: Path, packages: Iterable[LockedPackage], store: PackageStore) -> None:
    """Write a Packages file for packages that are in the store, each under `<64 hex>.deb`. Raises `Problem`."""
    with ThreadPoolExecutor() as pool:
        described = pool.map(lambda package: describe(store.path(package.sha256), package.sha256), packages)
        (directory / "Packages").write_text("".join(f"{stanza}\n\n" for stanza in described))


def describe(deb: Path, sha256: str) -> str:
    """A package as an index describes it, under `<64 hex>.deb`. Raises `Problem` for a file that is no package."""
    said = run(["dpkg-deb", "--field", str(deb)], timeout=QUICK, mend=f"{deb} is no whole Debian package: replace it")
    return f"{said.strip()}\nFilename: {sha256}.deb\nSize: {deb.stat().st_size}\nSHA256: {sha256}"


def make_repository(directory: Path, lock: Lock, packages: Iterable[LockedPackage], store: PackageStore) -> None:
    """Make a repository of packages of a lock, with a Release file and links into the store. Raises `Problem`."""
    listed = list(packages)
    directory.mkdir()
    write_index(directory, listed, store)
    (directory / "Release").write_text(release(lock, (directory / "Packages").read_bytes()))
    for package in listed:
        (directory / f"{package.sha256}.deb").symlink_to(store.path(package.sha256).absolute())


def release(lock: Lock, packages: bytes) -> str:
    """The Release file of a repository whose Packages file this is; its suite is that of the lock's base."""
    suite = lock.base.partition(":")[2]
    date = datetime.fromtimestamp(lock.date, UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
    return (
        f"Suite: {suite}\nCodename: {suite}\nDate: {date}\nArchitectures: {lock.architecture}\n"
        f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    )


def source_line(repository: Path, method: str) -> str:
    """The repository in sources.list(5)'s one-line format. It needs no signature: each package was checked before.

    By the method `copy` apt copies what it reads, by `file` it does not.
    """
    return f"deb [trusted=yes] {method}:{repository} ./\n"
