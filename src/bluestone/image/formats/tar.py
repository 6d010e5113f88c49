"""An image's tree as one plain tar archive."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from bluestone.image import worker
from bluestone.image.formats.layer import entries, stream
from bluestone.image.remove import remove_tree

LIMIT = 3600.0
"""Seconds that packing a tree may take."""


class TarOrder(Struct, frozen=True):
    """What to pack, and where."""

    image: Path
    destination: Path


def make_tar(image_root: Path, destination: Path, progress: Callable[[str], None]) -> int:
    """Write the tree of an image in the store, in place of what is at `destination`: all of it, or nothing.

    Returns the size in bytes. Raises `Problem`.
    """
    work = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        draft = work / "tar"
        size = worker.carry_out(__name__, TarOrder(image_root, draft), int, progress=progress, timeout=LIMIT)
        draft.replace(destination)
    finally:
        remove_tree(work)
    return size


def write(order: TarOrder) -> int:
    """Write the archive. Raises `Problem` and `OSError`."""
    worker.say("packing the tree")
    with order.destination.open("wb") as file:
        file.writelines(stream(entries(order.image), order.image))
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


if __name__ == "__main__":
    sys.exit(worker.serve(TarOrder, write))
