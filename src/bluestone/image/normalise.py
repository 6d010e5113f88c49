"""Takes out of a tree what differs from build to build, and what belongs to the host or the day."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bluestone.image import lockdown
from bluestone.image.canonical import canonicalise
from bluestone.image.remove import remove_path
from bluestone.image.tree import hash_file

EPOCH = 1_000_000_000
"""The time, in seconds since 1970, of everything that the base brings: some date in the past (9 September 2001)."""

SPREAD = 2**28
"""Seconds after `EPOCH` over which the times of other files are spread, some eight years."""


def normalise(root: Path) -> None:
    """Make a tree of packages, as an engine left it, the same for the same packages; times are not touched."""
    tidy(root)
    canonicalise(root, EPOCH)


def tidy(root: Path) -> None:
    """Take out of a tree what is of the host or the day, whoever put it there; times are not touched."""
    for name in lockdown.EMPTIED:
        _empty(root / name, keep_directories=False)
    for name in lockdown.EMPTIED_OF_FILES:
        _empty(root / name, keep_directories=True)
    for pattern in lockdown.REMOVED:
        # By its name alone, `glob` does not find a link that leads nowhere.
        for path in root.glob(pattern) if "*" in pattern else (root / pattern,):
            remove_path(path)
    for name, mode in lockdown.EMPTY_FILES.items():
        path = root / name
        remove_path(path)
        path.touch()
        path.chmod(mode)


def backdate(root: Path) -> None:
    """Give everything in a tree the time `EPOCH`."""
    for path in _paths(root):
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def settle(root: Path) -> None:
    """Give each file that is not of the base a time made from its content, and everything else `EPOCH`.

    Web servers derive a page's ETag from its time and size: were all times alike, a browser that knows the old
    page would be told that a new one of the same size is unchanged.
    """
    for path in _paths(root):
        status = os.lstat(path)
        time = EPOCH
        if stat.S_ISREG(status.st_mode) and status.st_mtime_ns != EPOCH * 10**9:
            time += 1 + int(hash_file(path)[:16], 16) % SPREAD
        os.utime(path, (time, time), follow_symlinks=False)


def _paths(root: Path) -> list[bytes]:
    """All paths of a tree and the root itself, directories after what is in them."""
    paths: list[bytes] = []
    for directory, names, files in os.walk(os.fsencode(root), topdown=False):
        links = [name for name in names if os.path.islink(directory + b"/" + name)]  # noqa: PTH114 - bytes
        paths += [directory + b"/" + name for name in [*files, *links]]
        paths.append(directory)
    return paths


def _empty(directory: Path, *, keep_directories: bool) -> None:
    if directory.is_symlink() or not directory.is_dir():
        return
    for path in directory.iterdir():
        if keep_directories and path.is_dir() and not path.is_symlink():
            _empty(path, keep_directories=True)
        else:
            remove_path(path)
