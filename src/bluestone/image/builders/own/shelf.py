"""Packages in plain form, kept in the package store beside those that they are made of."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from bluestone.image.builders.own.archive import Plain, read_plain, write_plain
from bluestone.image.packagestore import PackageStore
from bluestone.image.tree import hash_file
from bluestone.model.lock import LockedPackage
from bluestone.model.problem import Problem


def take(packages: Iterable[LockedPackage], store: PackageStore) -> list[Plain]:
    """These packages in plain form, made now if they are not there or not what was once made.

    Raises one `Problem` for a package that is not what the lock says, and `OSError`.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda package: _take(package, store), packages))


def _take(package: LockedPackage, store: PackageStore) -> Plain:
    kept = store.plain(package.sha256)
    plain = read_plain(kept)
    if plain is None:
        return _make(package, store, kept)
    os.utime(kept)  # By its time the store knows how long it was not used.
    return plain


def _make(package: LockedPackage, store: PackageStore, kept: Path) -> Plain:
    deb = store.path(package.sha256)
    if hash_file(bytes(deb)) != package.sha256:
        raise Problem(
            f"{package.name} {package.version} is damaged in the package store: its SHA-256 is another",
            mend=f"remove {deb} and build again",
        )
    with tempfile.NamedTemporaryFile(prefix=".new-", dir=store.directory, delete=False) as draft:
        path = Path(draft.name)
    try:
        write_plain(deb, path)
        plain = read_plain(path)
        if plain is None or (plain.key, plain.fields.get("Version")) != (package.key, package.version):
            raise Problem(
                f"{deb.name} is not {package.name} {package.version}, as the lock has it",
                mend=f"remove bluestone.lock and run `bluestone lock`; if it stays so, remove {deb}",
            )
        path.replace(kept)
    finally:
        path.unlink(missing_ok=True)
    return replace(plain, path=kept)
