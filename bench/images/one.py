"""`python -m bench.images.one STORE RECIPE LOCK [scratch]`: one build by bluestone's engine; prints the digest.

A process of its own, so that what it costs includes the start of Python; it loads nothing else of the benchmark, which
would count too. RECIPE is a file of JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from bluestone.app import wiring
from bluestone.image.build import build
from bluestone.image.lock.stored import read
from bluestone.image.store import ImageStore
from bluestone.model.recipe import Recipe


def main(store: str, recipe: str, lock: str, *how: str) -> None:
    """Build, and print the digest."""
    wanted = msgspec.json.decode(Path(recipe).read_bytes(), type=Recipe)
    locked = read(Path(lock))
    assert locked is not None
    scratch = "scratch" in how
    image = build(wanted, locked, ImageStore(Path(store)), wiring.engine(), progress=_quiet, scratch=scratch)
    print(image.digest)


def _quiet(text: str) -> None:
    """Say nothing."""


if __name__ == "__main__":
    main(*sys.argv[1:])
