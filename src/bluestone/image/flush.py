"""Has a tree written to the disk: now, or while the processor does something else."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bluestone.model.problem import Problem

LIMIT = 600.0
"""Seconds that it may take to write a tree."""


def flush_tree(work: Path) -> None:
    """Have everything on the disk before it becomes visible; a single file may be its owner's alone to open.

    Raises `Problem`.
    """
    if subprocess.run(_sync(work), check=False, timeout=LIMIT).returncode:
        raise Problem(f"{work} cannot be written to the disk", mend="look at the disk: dmesg")


@contextmanager
def flushing(root: Path) -> Iterator[None]:
    """While this lasts, what is below `root` is written; at the end it is on the disk. Raises `OSError`."""
    flush = subprocess.Popen(_sync(root))
    try:
        yield
    finally:
        status = flush.wait()
    if status:
        raise OSError(errno.EIO, "the tree cannot be written to the disk")


def _sync(root: Path) -> list[str]:
    return ["sync", "--file-system", str(root)]
