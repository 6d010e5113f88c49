"""Overlays, and what they write to their upper directory (Documentation/filesystems/overlayfs.rst in the kernel)."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

SPACES = ("trusted.overlay.", "user.overlay.")
"""Beginnings of the names of the attributes in which overlayfs keeps its own, as root and as another."""

OPAQUE = "opaque"
"""The attribute of a directory that hides all that is below it in the lower tree."""

WHOLE = "index=off,metacopy=off,redirect_dir=nofollow"
"""Options by which the upper directory holds all of each path that was changed."""

LIMIT = 60.0
"""Seconds that a mount may take."""


def mounted(place: Path, lower: Sequence[Path]) -> Path | None:
    """Mount an overlay of trees, the upper one first, and return where; None if the kernel mounts none here.

    What is written to it goes to `place`/upper, whole, with marks of its own kinds alone (`is_whiteout`, `is_opaque`).
    To be called in `enclosed`. Raises `OSError`.
    """
    upper, view = place / "upper", place / "view"
    upper.mkdir(mode=0o755)
    attributes = _attributes(upper)
    if attributes is None:
        return None
    for directory in (place / "scratch", view):
        directory.mkdir(mode=0o755)
    # By names without a colon or comma, as those have a meaning in the options.
    names = [f"lower{index}" for index in range(len(lower))]
    for name, tree in zip(names, lower, strict=True):
        (place / name).symlink_to(tree.absolute())
    options = f"lowerdir={':'.join(names)},upperdir=upper,workdir=scratch,{WHOLE}{attributes}"
    command = ["mount", "-t", "overlay", "-o", options, "overlay", "view"]
    done = subprocess.run(command, cwd=place, capture_output=True, check=False, timeout=LIMIT)
    for name in names:
        (place / name).unlink()
    if done.returncode:
        view.rmdir()
        return None
    return view


def clear(place: Path) -> None:
    """Remove what is left in `place` of an overlay that was unmounted. Raises `OSError`."""
    for name in ("upper", "scratch", "view"):
        shutil.rmtree(place / name)


def _attributes(upper: Path) -> str | None:
    """The option for the kind of attributes that may be set here; None for none, without which nothing is opaque."""
    for space, option in zip(SPACES, ("", ",userxattr"), strict=True):
        try:
            os.setxattr(upper, f"{space}probe", b"y")
            os.removexattr(upper, f"{space}probe")
        except OSError:
            continue
        return option
    return None


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
