"""Whether bluestone's engine makes the trees that mmdebstrap makes, of recipes that have little in common.

Each tree is made by both of the same lock, from the same packages; packages are then added to the smaller tree, which
must give the larger one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.images.figures import Figures, note, quiet
from bluestone.image.archive import of_recipe
from bluestone.image.builders.mmdebstrap import Mmdebstrap
from bluestone.image.builders.own.engine import Own
from bluestone.image.builders.port import Engine
from bluestone.image.install import Order
from bluestone.image.lock.stored import own_lock
from bluestone.image.packagestore import PackageStore
from bluestone.image.route import engine_name
from bluestone.image.tree import differences
from bluestone.image.worker import carry_out
from bluestone.model.lock import Lock
from bluestone.model.recipe import Base, Recipe

SETS: tuple[tuple[str, ...], ...] = (
    (),
    ("nginx-light", "python3-minimal"),
    ("postgresql",),
    ("linux-image-cloud-amd64", "systemd-boot-efi"),
    ("ruby", "python3-requests", "puppet-agent"),
    ("openjdk-21-jre-headless",),
    ("haproxy", "redis-server", "rsyslog", "unbound"),
    ("apache2", "php-fpm", "nodejs"),
)
FEW = 1
"""How many of them are tried where all are not asked for."""

ADDED = ("tree", "less")
LIMIT = 1800.0


def measure_few() -> Figures:
    """The same for a few of these recipes."""
    return measure(SETS[:FEW])


def measure(sets: Sequence[tuple[str, ...]] = SETS) -> Figures:
    """In how many of these recipes, in percent, the engines agree, and changing a tree agrees with making it anew."""
    same = changed = 0
    work = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    try:
        store = PackageStore(work / "packages")
        for number, packages in enumerate(sets):
            place = work / str(number)
            place.mkdir()
            lock, more = (_lock(each, place, store) for each in (packages, (*packages, *ADDED)))
            own = _made(Own, lock, store, place / "own")
            theirs = _made(Mmdebstrap, lock, store, place / "theirs")
            grown = _made(Own, more, store, place / "grown", place / "own", lock)
            anew = _made(Own, more, store, place / "anew")
            same += own == theirs
            changed += grown == anew
            for what, one, other in (("engines", own, theirs), ("patched", grown, anew)):
                for path in differences(one, other)[:20]:
                    note(f"{what} differ, {' '.join(packages)}: {path}")
            note(f"{' '.join(packages) or 'nothing'}: {len(lock.packages)} packages, {same} and {changed} agree")
            shutil.rmtree(place)
    finally:
        shutil.rmtree(work)
    count = len(sets)
    values = {
        "engines": float(count),
        "engines_equal_pct": round(100 * same / count, 1),
        "patched_equal_pct": round(100 * changed / count, 1),
    }
    return Figures({}, values)


def _lock(packages: tuple[str, ...], place: Path, store: PackageStore) -> Lock:
    recipe = Recipe(Base("debian", "trixie"), packages=packages)
    lock = own_lock(recipe, place / f"{len(packages)}.lock", store, quiet)
    store.ensure(lock.packages, of_recipe(recipe), quiet)
    return lock


def _made(
    engine: type[Engine],
    lock: Lock,
    packages: PackageStore,
    place: Path,
    below: Path | None = None,
    before: Lock | None = None,
) -> str:
    """The manifest of a tree that an engine makes in a new directory."""
    place.mkdir()
    order = Order(engine_name(engine()), lock, packages.directory, place, below, before)
    carry_out("bluestone.image.install", order, bool, progress=quiet, timeout=LIMIT)
    return (place / "manifest").read_text()
