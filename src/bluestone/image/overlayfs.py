"""What overlayfs writes to its upper directory (Documentation/filesystems/overlayfs.rst in the kernel)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SPACES = ("trusted.overlay.", "user.overlay.")
"""Beginnings of the names of the attributes in which overlayfs keeps its own, as root and as another."""

OPAQUE = "opaque"
"""The attribute of a directory that hides all that is below it in the lower tree."""


def is_whiteout(status: os.stat_result) -> bool:
    """Whether a path stands for one of the lower tree that was removed."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(directory: bytes | Path) -> bool:
    """Whether a directory hides all that is below it in the lower tree."""
    # `x` is written where what is whited out is marked otherwise, and hides nothing.
    names = {f"{space}{OPAQUE}" for space in SPACES} & set(os.listxattr(directory))
    return any(os.getxattr(directory, name) == b"y" for name in names)


def strip(path: bytes | Path) -> None:
    """Remove what overlayfs noted of a file: where it was copied from, among others."""
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith(SPACES):
            os.removexattr(path, name, follow_symlinks=False)
