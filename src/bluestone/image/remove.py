"""Removes trees, whosever their files are."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


def remove_path(path: bytes | Path) -> None:
    """Remove whatever is there, a directory with all that is in it; no link is followed."""
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 - bytes
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)  # noqa: PTH108 - bytes


def remove_tree(path: Path) -> None:
    """Remove a directory with a tree in it, also where the tree's owners are those of a user namespace.

    Raises `Problem`.
    """
    if os.geteuid() == 0:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
        return
    from bluestone.host.commands import run
    from bluestone.image.sandbox import enclosed

    run(enclosed(["rm", "-rf", "--one-file-system", "--", str(path)]), timeout=600, mend="remove it by hand")
