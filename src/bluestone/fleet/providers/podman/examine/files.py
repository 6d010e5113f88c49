"""What a server changed in its root file system: the upper directory of the overlay over its image's tree.

`podman diff` does not show it: it looks at a layer of podman's own, and the root of a server is a tree of the image
store. In memory (`/run`, `/tmp`, what the image makes writable) and on volumes there is no image to differ from.

Nothing of what is read here is followed or trusted: whoever rules a server chose the names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from bluestone.model.drift import FileChange, PackageChange, Unseen
from bluestone.model.image import Package
from bluestone.model.path import shown

MOST = 100
"""Changes that are told one by one."""

STATUS = "/var/lib/dpkg/status"
"""dpkg's list of what is installed."""

LARGEST_STATUS = 32 << 20

ReadPackages = Callable[[str], Iterable[Package]]
"""The installed packages of a text like `/var/lib/dpkg/status`."""


def changes(upper: Path, lower: Path, hidden: Collection[str]) -> tuple[list[FileChange], list[Unseen]]:
    """What `upper` changes of `lower`, but for the paths that are `hidden` below mounts.

    A directory that is new is told, and not what is in it.
    """
    unseen: list[Unseen] = []
    found = list(islice(_walk(upper, lower, "", hidden, unseen), MOST + 1))
    if len(found) > MOST:
        unseen.append(Unseen("files", f"more than {MOST} paths differ; the others are not listed"))
    return found[:MOST], unseen


def package_changes(upper: Path, lower: Path, read_packages: ReadPackages) -> list[PackageChange]:
    """The packages that differ, where dpkg's list was changed. Raises `OSError`."""
    path = upper / STATUS[1:]
    text = _read(path)
    if text is None:
        return []
    at = _when(os.lstat(path))
    before = {package.name: package.version for package in read_packages(_read(lower / STATUS[1:]) or "")}
    now = {package.name: package.version for package in read_packages(text)}
    return [
        PackageChange(shown(name), before.get(name, ""), shown(now.get(name, "")), at)
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ][:MOST]


def _walk(
    upper: Path, lower: Path | None, at: str, hidden: Collection[str], unseen: list[Unseen]
) -> Iterator[FileChange]:
    try:
        with os.scandir(upper) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        unseen.append(Unseen("files", f"{shown(at or '/')} cannot be read: {error.strerror}"))
        return
    for entry in found:
        path = f"{at}/{entry.name}"
        if path in hidden:
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        old = _status_of(lower / entry.name) if lower is not None else None
        when = _when(status)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            yield FileChange(shown(path), "removed", when)
        elif old is None:
            # A directory that the engine made for a mount in it to have a place is nobody's change.
            if not (stat.S_ISDIR(status.st_mode) and any(point.startswith(path + "/") for point in hidden)):
                yield FileChange(shown(path), "added", when)
        elif not stat.S_ISDIR(status.st_mode) or not stat.S_ISDIR(old.st_mode) or _is_opaque(entry.path):
            yield FileChange(shown(path), "changed", when)
        else:
            if _owner(status) != _owner(old):
                yield FileChange(shown(path), "changed", when)
            yield from _walk(upper / entry.name, lower / entry.name if lower else None, path, hidden, unseen)


def _status_of(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _owner(status: os.stat_result) -> tuple[int, int, int]:
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def _is_opaque(directory: str) -> bool:
    """Whether the directory stands for the image's, and what that has in it is gone (overlayfs.rst in the kernel)."""
    names = ("trusted.overlay.opaque", "user.overlay.opaque")
    try:
        return any(os.getxattr(directory, name) == b"y" for name in set(names) & set(os.listxattr(directory)))
    except OSError:
        return False


def _when(status: os.stat_result) -> datetime:
    """When it was last written or touched: unlike its other times, nobody on the server chooses this one."""
    return datetime.fromtimestamp(status.st_ctime, UTC)


def _read(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(LARGEST_STATUS).decode("utf-8", "replace")
