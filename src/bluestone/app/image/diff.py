"""`diff`: what differs from one image to another."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Literal

from bluestone.app.image.choose import chosen
from bluestone.app.image.sbom import bill_of
from bluestone.app.project import Project
from bluestone.model.image import Image

if TYPE_CHECKING:
    from bluestone.image.diff import ImageDiff, Side
    from bluestone.image.tree import Entry


def compare(project: Project, old: str, new: str | None) -> ImageDiff:
    """What differs from the image `old` to the image `new` (see `chosen`). Raises `Problem`."""
    return between(chosen(project, old), chosen(project, new))


def between(old: Image, new: Image) -> ImageDiff:
    """What differs from one image to another. Raises `Problem`."""
    from bluestone.image.diff import diff
    from bluestone.image.lock.versions import newer

    images = {"old": old, "new": new}

    def read(which: Literal["old", "new"], entry: Entry) -> bytes | None:
        return _content(images[which], entry)

    return diff(_side(images["old"]), _side(images["new"]), newer, read)


def _side(image: Image) -> Side:
    from bluestone.image.diff import Side
    from bluestone.image.sbom.dpkg import Database

    manifest = (image.root.parent / "manifest").read_text()
    return Side(manifest, bill_of(image), Database(os.fsencode(image.root)).owners())


def _content(image: Image, entry: Entry) -> bytes | None:
    """The content of a file, if it is what the manifest says: a link in the tree's place could lead anywhere."""
    try:
        path = os.fsencode(image.root) + b"/" + entry.path
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        content = file.read(entry.size + 1)
    return content if hashlib.sha256(content).hexdigest().encode() == entry.content else None
