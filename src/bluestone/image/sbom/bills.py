"""The bills that are kept beside an image, written when it is built; or later, by a process that may read its tree."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bluestone.model.image import Image
from bluestone.model.problem import Problem

CYCLONEDX = "sbom.cdx.json"
SPDX = "sbom.spdx.json"

LIMIT = 1800.0
"""Seconds that a scan may take."""


def scan_apart(directory: Path) -> None:
    """Write the bills of the tree `root` of a directory, by its `manifest`, from a process that may read the tree.

    Raises `Problem`.
    """
    from bluestone.image import worker
    from bluestone.image.sbom import scan

    worker.carry_out(scan.__name__, scan.Order(directory), str, progress=_quiet, timeout=LIMIT)


def bill(image: Image, name: str) -> bytes:
    """The bill of an image in the store, `CYCLONEDX` or `SPDX`. Raises `Problem`.

    An image that was built before there were bills gets its now.
    """
    directory = image.root.parent
    if not all((directory / each).exists() for each in (CYCLONEDX, SPDX)):
        scan_apart(directory)
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise Problem(
            f"{directory / name} cannot be read: {error.strerror}",
            mend="remove that file: it is then written anew",
        ) from error


def digests(image: Image) -> dict[str, str]:
    """The SHA-256 of the bills of an image, by the names of their files. Raises `Problem`."""
    return {name: hashlib.sha256(bill(image, name)).hexdigest() for name in (CYCLONEDX, SPDX)}


def _quiet(text: str) -> None:
    """Say nothing: it takes a moment."""
