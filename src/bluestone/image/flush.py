"""Has a tree written to the disk while the processor does something else."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def flushing(root: Path) -> Iterator[None]:
    """While this lasts, what is below `root` is written; at the end it is on the disk. Raises `OSError`."""
    flush = subprocess.Popen(["sync", "--file-system", str(root)])
    try:
        yield
    finally:
        status = flush.wait()
    if status:
        raise OSError(errno.EIO, "the tree cannot be written to the disk")
