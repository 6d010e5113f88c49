"""A tree -> its bills, beside it: within the process that makes the tree, or in one of its own.

`python -m bluestone.image.sbom.scan` carries out an `Order`, as a worker that may read the tree.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bluestone.host.files import write_atomically
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
    with _uncollected():
        bom = contents(directory / "root", manifest, found)
        bills = {SPDX: spdx.write(bom), CYCLONEDX: cyclonedx.write(bom)}
    if stage and not known:
        silent.keep(stage, found)
    for name, bill in bills.items():
        write_atomically(directory / name, bill)


@contextmanager
def _uncollected() -> Iterator[None]:
    """While this lasts, nobody looks for garbage: there is hardly any, and looking takes a fifth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _carry_out(order: Order) -> str:
    scan(order.image, (order.image / "manifest").read_text())
    return CYCLONEDX


if __name__ == "__main__":
    sys.exit(worker.serve(Order, _carry_out))
