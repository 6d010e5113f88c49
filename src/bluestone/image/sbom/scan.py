"""A tree -> its bills, beside it: within the process that makes the tree, or in one of its own.

`python -m bluestone.image.sbom.scan` carries out an `Order`, as a worker that may read the tree.
"""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import Struct

from bluestone.host.files import write_atomically
from bluestone.host.garbage import undisturbed
from bluestone.image import worker
from bluestone.image.sbom import cyclonedx, silent, spdx
from bluestone.image.sbom.bills import CYCLONEDX, SPDX
from bluestone.image.sbom.walk import contents


class Order(Struct, frozen=True):
    """Scan an image: `image` is its directory, with `root` and `manifest`."""

    image: Path


def scan(directory: Path, manifest: str, stage: Path | None = None) -> None:
    """Write the bills of the tree `root` of a directory beside it. Raises `OSError`.

    What is known of the programs of `stage`, the directory of that on which the tree was made, is used and kept there.
    """
    known = silent.recall(stage) if stage else set()
    found = known.copy()
    # There is hardly any garbage, and looking for it takes a fifth of the time.
    with undisturbed():
        bom = contents(directory / "root", manifest, found)
        bills = {SPDX: spdx.write(bom), CYCLONEDX: cyclonedx.write(bom)}
    if stage and not known:
        silent.keep(stage, found)
    for name, bill in bills.items():
        write_atomically(directory / name, bill)


def _carry_out(order: Order) -> str:
    scan(order.image, (order.image / "manifest").read_text())
    return CYCLONEDX


if __name__ == "__main__":
    sys.exit(worker.serve(Order, _carry_out))
