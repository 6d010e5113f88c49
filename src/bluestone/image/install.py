"""A lock's packages -> the tree of a stage: by an engine from nothing, or by changing the tree of another lock.

The tree of another lock is changed where the engine can; else the tree is made from nothing all the same.

`python -m bluestone.image.install` carries out an `Order`, as a worker that owns the tree.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import cast

from msgspec import Struct

from bluestone.image import worker
from bluestone.image.builders.port import Changer, Engine
from bluestone.image.derive import derive
from bluestone.image.flush import flushing
from bluestone.image.normalise import backdate, normalise
from bluestone.image.packagestore import PackageStore
from bluestone.image.tree import manifest
from bluestone.image.unsynced import leave_unsynced
from bluestone.model.lock import Lock


class Order(Struct, frozen=True):
    """Make `root` and `manifest` in the directory `work`, of a lock's packages, which are in the store `packages`.

    `engine` is `module:class`. With `below`, the directory of the stage of the lock `before`, its tree is
    changed if the engine can.
    """

    engine: str
    lock: Lock
    packages: Path
    work: Path
    below: Path | None = None
    before: Lock | None = None


def install(order: Order) -> tuple[str, bool]:
    """Make the tree; return its manifest, and whether it was made from nothing. Raises `Problem` and `OSError`."""
    engine, packages = _engine(order.engine), PackageStore(order.packages)
    if order.below is None or order.before is None or not _can_change(engine, order.before, order):
        root = order.work / "root"
        root.mkdir(mode=0o755)
        engine.install(order.lock, packages, root, worker.say)
        normalise(root)
        backdate(root)
        with flushing(root):
            return manifest(root), True
    changer, before = cast(Changer, engine), order.before

    def shape(root: Path) -> None:
        changer.change(before, order.lock, packages, root, worker.say)
        normalise(root)

    return derive(order.below, order.work, shape, backdate).manifest, False


def _can_change(engine: Engine, before: Lock, order: Order) -> bool:
    assert order.below is not None
    return isinstance(engine, Changer) and engine.can_change(before, order.lock, order.below / "root")


def _engine(name: str) -> Engine:
    module, _, kind = name.partition(":")
    engine: Engine = getattr(import_module(module), kind)()
    return engine


def _carry_out(order: Order) -> bool:
    leave_unsynced()
    text, from_nothing = install(order)
    (order.work / "manifest").write_text(text)
    return from_nothing


if __name__ == "__main__":
    sys.exit(worker.serve(Order, _carry_out))
