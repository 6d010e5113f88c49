"""The bills that are kept beside an image, written when it is built; or later, by a process that may read its tree."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from bluestone.host.files import write_atomically
from bluestone.image import worker
from bluestone.image.sbom import cyclonedx, silent, spdx
from bluestone.image.sbom.walk import contents
from bluestone.model.image import Image
from bluestone.model.problem import Problem

CYCLONEDX = "sbom.cdx.json"
SPDX = "sbom.spdx.json"

LIMIT = 1800.0
"""Seconds that a scan may take."""


@dataclass(frozen=True)
class Order:
    """Scan an image: `image` is its directory, with `root` and `manifest`."""

    image: Path


def scan(directory: Path, manifest: str, stage: Path | None = None) -> None:
    """Write the bills of the tree `root` of a directory beside it. Raises `OSError`.

    What is known of the programs of `stage`, the directory of that on which the tree was made, is used and kept there.
    """
    known = silent.recall(stage) if stage else set()
    found = known.copy()
    bom = contents(directory / "root", manifest, found)
    if stage and not known:
        silent.keep(stage, found)
    write_atomically(directory / SPDX, spdx.write(bom))
    write_atomically(directory / CYCLONEDX, cyclonedx.write(bom))


def scan_apart(directory: Path) -> None:
    """The same as `scan`, of the manifest in the directory, by a process that may read the tree. Raises `Problem`."""
    worker.carry_out(__name__, Order(directory), str, progress=_quiet, timeout=LIMIT)


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


def _carry_out(order: Order) -> str:
    scan(order.image, (order.image / "manifest").read_text())
    return CYCLONEDX


def _quiet(text: str) -> None:
    """Say nothing: it takes a moment."""


if __name__ == "__main__":
    sys.exit(worker.serve(Order, _carry_out))
