"""The engines make the same trees of the same locks, byte for byte; and trees that are changed are as those made anew.

By continuous integration a few recipes are tried; `./dev bench images` tries many.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestone.image.builders.mmdebstrap import Mmdebstrap
from bluestone.image.builders.own.engine import Own
from bluestone.image.builders.port import Engine
from bluestone.image.install import Order
from bluestone.image.packagestore import PackageStore
from bluestone.image.route import engine_name
from bluestone.image.store import ImageStore
from bluestone.image.tree import differences
from bluestone.image.worker import carry_out
from bluestone.model.lock import Lock
from bluestone.model.recipe import Base, Recipe
from locked import lock_of

pytestmark = pytest.mark.e2e

SERVER = ("nginx-light", "python3-minimal")
LARGER = (*SERVER, "less", "tree")
"""With a package that has an alternative and a `preinst`, and one that has nothing."""


@pytest.fixture(scope="module")
def store(shared_home: Path) -> ImageStore:
    return ImageStore(shared_home / "images")


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="bs-t-", dir="/var/tmp"))
    yield directory
    shutil.rmtree(directory)


def lock_for(store: ImageStore, packages: tuple[str, ...]) -> Lock:
    """A lock of packages, all of which are in the store."""
    from bluestone.image.archive import of_recipe

    recipe = Recipe(Base("debian", "trixie"), packages=packages)
    lock = lock_of(recipe, store)
    store.packages.ensure(lock.packages, of_recipe(recipe), print)
    return lock


def made(
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
    made_new = carry_out("bluestone.image.install", order, bool, progress=print, timeout=600)
    assert made_new == (below is None)
    return (place / "manifest").read_text()


@pytest.fixture(scope="module")
def server(store: ImageStore, work: Path) -> str:
    return made(Own, lock_for(store, SERVER), store.packages, work / "own")


def test_the_tree_is_that_of_mmdebstrap(server: str, store: ImageStore, work: Path) -> None:
    theirs = made(Mmdebstrap, lock_for(store, SERVER), store.packages, work / "theirs")
    assert differences(server, theirs) == []
    assert server == theirs


def test_a_changed_tree_is_as_one_made_anew(server: str, store: ImageStore, work: Path) -> None:
    small, large = lock_for(store, SERVER), lock_for(store, LARGER)
    grown = made(Own, large, store.packages, work / "grown", work / "own", small)
    anew = made(Own, large, store.packages, work / "anew")
    assert differences(grown, anew) == []
    assert grown == anew
