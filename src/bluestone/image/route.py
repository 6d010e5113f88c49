"""Which way a stage comes about: from nothing, or by changing one that is here."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from bluestone.image.builders.port import Changer, Engine
from bluestone.image.inputs import digest
from bluestone.image.stages import Stage
from bluestone.model.lock import Lock

FEW = 10
"""Packages that may differ between a stage and one that it is changed into: for more, building anew is as quick."""

HERE = Path(__file__).parent
MAKERS = (
    *("accounts", "canonical", "derive", "install", "keystore", "lockdown"),
    *("normalise", "overlayfs", "remove", "sandbox", "tree"),
)
"""Modules that, besides the engine, decide what a stage is like."""


def engine_name(engine: Engine) -> str:
    """`module:class`, by which a worker finds the engine."""
    kind = type(engine)
    return f"{kind.__module__}:{kind.__qualname__}"


def family(lock: Lock, engine: Engine) -> str:
    """SHA-256 over all that decides a stage but its packages: stages of one family can be made from each other."""
    return digest(
        {
            "base": lock.base,
            "architecture": lock.architecture,
            "engine": [engine.name, engine.version(), _code_of(engine_name(engine))],
            "makers": module_digests(MAKERS),
        }
    )


def stage_key(lock: Lock, of_family: str) -> str:
    """SHA-256 over all inputs of a stage."""
    return digest({"family": of_family, "packages": installed(lock)})


def installed(lock: Lock) -> list[tuple[str, str, str]]:
    """What of a lock's packages decides a tree: not where they come from, nor why they are there."""
    return [(package.key, package.version, package.sha256) for package in lock.packages]


def nearest(lock: Lock, stages: Iterable[Stage], engine: Engine, sound: Callable[[Stage], bool]) -> Stage | None:
    """The stage to change into that of a lock: the one with the fewest packages that differ; None if none will do.

    `stages` are of the lock's family; one that is not `sound` is not built upon.
    """
    if not isinstance(engine, Changer):
        return None
    measured = [(_distance(stage.lock, lock), stage.patched, stage.key, stage) for stage in stages if sound(stage)]
    near = sorted(each for each in measured if each[0] <= FEW)
    return near[0][-1] if near else None


def _distance(before: Lock, after: Lock) -> float:
    """How many packages differ; without end if one of the base would have to be removed."""
    old, new = ({package.key: package for package in lock.packages} for lock in (before, after))
    if any(package.required for key, package in old.items() if key not in new):
        return float("inf")
    contents = ({key: package.sha256 for key, package in packages.items()} for packages in (old, new))
    return len({key for key, _ in set.symmetric_difference(*(set(each.items()) for each in contents))})


def module_digests(names: Sequence[str]) -> list[str]:
    """The SHA-256 of modules of this package: so there is no version that somebody has to remember to raise."""
    return [hashlib.sha256((HERE / f"{name}.py").read_bytes()).hexdigest() for name in names]


@cache
def _code_of(name: str) -> list[str]:
    """The SHA-256 of an engine's module, and of those beside it if it is one of a package of its own."""
    file = sys.modules[name.partition(":")[0]].__file__
    assert file is not None
    own = Path(file)
    files = sorted(own.parent.glob("*.py")) if own.parent.name != "builders" else [own]
    return [hashlib.sha256(each.read_bytes()).hexdigest() for each in files]
