"""Every package that a lock names, by the SHA-256 of its file: with it an image can be built when the archive is gone.

DIRECTORY/<64 hex>.deb   a package           (it is whole once it has this name)
DIRECTORY/<64 hex>.plain the same, decompressed: made again if it is not there (`builders.own`)
DIRECTORY/.new-*         on its way in; whoever sweeps next removes those of the dead
DIRECTORY/lock           held, shared, while packages are in use; exclusively while they are removed
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

from bluestone.host.files import flush
from bluestone.host.paths import private_directory
from bluestone.image.tree import hash_file
from bluestone.model.lock import LOCAL, LockedPackage
from bluestone.model.problem import Problem

if TYPE_CHECKING:
    from bluestone.image.archive import ResolvedBase

Progress = Callable[[str], None]

SHA256 = re.compile("[0-9a-f]{64}")
CHUNK = 1 << 20
LINES = 4
"""Downloads at a time: each is an apt of its own, which asks for its files one after the other."""

DISK_MEND = "free some space, or set TMPDIR and BLUESTONE_HOME to directories on a larger disk"

SHOWN = 20
"""Packages that an error names one by one."""


class PackageStore:
    """The packages below a directory, which is made when something is first put there, for its owner alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, sha256: str) -> Path:
        """Where the package of this digest is, or would be. Raises `ValueError` for what is no SHA-256."""
        if not SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no SHA-256")
        return self.directory / f"{sha256}.deb"

    def plain(self, sha256: str) -> Path:
        """Where the decompressed form of the package of this digest is, or would be. Raises `ValueError`."""
        return self.path(sha256).with_suffix(".plain")

    def missing(self, packages: Iterable[LockedPackage]) -> list[LockedPackage]:
        """Those that are not here, or not whole by their size."""
        return [package for package in packages if _size(self.path(package.sha256)) != package.size]

    def add(self, file: Path, expected: LockedPackage | None = None) -> str:
        """Take a copy of a file in; return its SHA-256. All of it, or nothing.

        With `expected`, raises `Corrupt` unless size and digest are those. Raises `Problem` on a full disk, and
        `OSError` for a file that cannot be read.
        """
        private_directory(self.directory)
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=self.directory)
        draft = Path(name)
        try:
            with file.open("rb") as source, os.fdopen(descriptor, "wb") as copy:
                found = _copy(source, copy)
                if expected is not None and (found, copy.tell()) != (expected.sha256, expected.size):
                    raise Corrupt(expected)
            draft.replace(self.path(found))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Problem("the disk is full: the packages could not be kept", mend=DISK_MEND) from error
            raise
        finally:
            draft.unlink(missing_ok=True)
        flush(self.directory)
        return found

    def ensure(self, packages: Iterable[LockedPackage], base: ResolvedBase, progress: Progress) -> None:
        """Have all of these packages here, fetching from the base's archives what is missing.

        Raises one `Problem` that names every package that is lost, corrupt, or cannot be fetched.
        """
        # Two tools may need the same package.
        wanted = list({package.sha256: package for package in self.missing(packages)}.values())
        if not wanted:
            return
        unknown = sorted({package.archive for package in wanted} - base.uris.keys() - {LOCAL})
        if unknown:
            raise Problem(
                f"the lock has packages of an archive that is not declared: {', '.join(unknown)}",
                mend="declare it in [image.archives], or run `bluestone lock`",
            )
        private_directory(self.directory)
        local = [package for package in wanted if package.archive == LOCAL]
        remote = [package for package in wanted if package.archive != LOCAL]
        with self.in_use():
            troubles = dict.fromkeys(local, "it is gone from beside the declaration")
            if remote:
                mib = sum(package.size for package in remote) / 2**20
                progress(f"downloading {len(remote)} packages ({mib:.1f} MiB)")
                troubles |= self._fetch(remote, base)
        if troubles:
            raise _explain(troubles, base)

    def remove(self, *sha256: str) -> None:
        """Remove packages; those that are not here are no error."""
        for each in sha256:
            self.path(each).unlink(missing_ok=True)
            self.plain(each).unlink(missing_ok=True)

    def unreachable(self, reachable: Set[str], before: datetime) -> list[str]:
        """The digests of packages other than these that were taken in before an instant, sorted."""
        return sorted(
            entry.stem
            for entry in self.directory.glob("*.deb")
            if entry.stem not in reachable and entry.stat().st_mtime < before.timestamp()
        )

    def sweep(self, reachable: Set[str], before: datetime) -> list[str]:
        """Remove what is `unreachable`, and what killed processes left; return the digests of the packages removed.

        So are decompressed packages that were not used since: they can be made again. Waits until nobody uses the
        store (`in_use`).
        """
        if not self.directory.is_dir():
            return []
        with self._locked(fcntl.LOCK_EX):
            for draft in self.directory.glob(".new-*"):
                draft.unlink()
            doomed = self.unreachable(reachable, before)
            self.remove(*doomed)
            for plain in self.directory.glob("*.plain"):
                if not self.path(plain.stem).exists() or plain.stat().st_mtime < before.timestamp():
                    plain.unlink()
        return doomed

    def check(self) -> list[str]:
        """The digests of packages whose file has other bytes now, sorted. Reads everything."""
        if not self.directory.is_dir():
            return []
        stored = sorted(entry for entry in self.directory.glob("*.deb"))
        return [entry.stem for entry in stored if hash_file(bytes(entry)) != entry.stem]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Nothing is swept away meanwhile."""
        private_directory(self.directory)
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with (self.directory / "lock").open("a") as file:
            fcntl.flock(file, kind)
            yield

    def _fetch(self, packages: Sequence[LockedPackage], base: ResolvedBase) -> dict[LockedPackage, str]:
        """Fetch packages, several at a time; return those that could not be had, and why."""
        from concurrent.futures import ThreadPoolExecutor

        from bluestone.image.apt import failures, fetch, isolated

        by_size = sorted(packages, key=lambda package: package.size, reverse=True)
        shares = [share for number in range(LINES) if (share := by_size[number::LINES])]
        with isolated(base) as apt, ThreadPoolExecutor(LINES) as pool:

            def work(share: Sequence[LockedPackage]) -> dict[LockedPackage, str]:
                targets = {package: apt.downloads / f"{package.sha256}.deb" for package in share}
                uris = {package: base.uri(package) for package in share}
                said: list[str] = []
                apt.run(fetch((uris[each], targets[each], each.sha256) for each in share), said.append)
                reasons = failures(said)
                troubles = {}
                for package, target in targets.items():
                    try:
                        self.add(target, package)
                    except Corrupt:
                        troubles[package] = "Hash Sum mismatch"
                    except FileNotFoundError:
                        troubles[package] = reasons.get(unquote(uris[package])) or " ".join(map(str.strip, said[-3:]))
                    target.unlink(missing_ok=True)
                return troubles

            return {package: why for part in pool.map(work, shares) for package, why in part.items()}


class Corrupt(Exception):
    """A file that is not the package that it should be."""


def _explain(troubles: dict[LockedPackage, str], base: ResolvedBase) -> Problem:
    from bluestone.image.apt import DISK_FULL, UNREACHABLE

    reasons = list(troubles.values())
    if any(DISK_FULL.search(why) for why in reasons):
        return Problem("the disk is full: the packages could not be fetched", mend=DISK_MEND)
    named = [
        f"\n     {package.name} {package.version} ({_where(package, base)}): {why}"
        for package, why in sorted(troubles.items(), key=lambda item: item[0].key)
    ]
    listed = "".join(named[:SHOWN]) + (f"\n     and {len(named) - SHOWN} more" if len(named) > SHOWN else "")
    if any(UNREACHABLE.search(why) for why in reasons):
        return Problem(f"{len(named)} packages of the lock cannot be fetched:{listed}", mend="look at the network")
    if any("mismatch" in why for why in reasons):
        return Problem(
            f"packages came that are not those of the lock (size or SHA-256 differ):{listed}",
            mend="run the same again, or with another mirror in image.base; if the archive did replace them: "
            f"{_relock(troubles)}",
        )
    return Problem(
        f"{len(named)} packages of the lock are lost: neither the package store nor the archive has them:{listed}",
        mend=f"lock them anew, and look at what changes: {_relock(troubles)}",
    )


def _relock(troubles: Iterable[LockedPackage]) -> str:
    names = sorted({package.name for package in troubles})
    return f"bluestone lock --upgrade {' '.join(names)}" if len(names) <= SHOWN else "bluestone lock --upgrade"


def _where(package: LockedPackage, base: ResolvedBase) -> str:
    return package.path if package.archive == LOCAL else base.uri(package)


def _copy(source: IO[bytes], copy: IO[bytes]) -> str:
    """Copy a file durably; return its SHA-256."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        copy.write(chunk)
    copy.flush()
    os.fsync(copy.fileno())
    return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
