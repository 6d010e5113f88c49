"""Compares an image's tree with its manifest."""

from __future__ import annotations

import sys

from bluestone.host.commands import run
from bluestone.image.sandbox import enclosed, require_namespaces
from bluestone.image.tree import differences, digest
from bluestone.model.image import Image

TIMEOUT = 1800.0
"""Seconds; every byte of the tree is read."""


def verify(image: Image) -> list[str]:
    """The paths in which the tree differs from what the image is named after, sorted; empty if it is whole.

    A manifest that was changed itself is named by its own path on this machine. Raises `Problem`.
    """
    require_namespaces()
    stored = image.root.parent / "manifest"
    text = stored.read_text()
    if digest(text) != image.digest:
        return [str(stored)]
    found = run(enclosed([sys.executable, "-m", "bluestone.image.tree", str(image.root)]), timeout=TIMEOUT)
    return differences(text, found)
