"""Images that tests build of recipes of their own: by locks that they keep beside their images, as a project does."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from bluestone.image.build import build, packages_of
from bluestone.image.builders.own.engine import Own
from bluestone.image.builders.port import Engine
from bluestone.image.lock.stored import own_lock
from bluestone.image.provision.hooks import tools
from bluestone.image.store import ImageStore
from bluestone.model.image import Image
from bluestone.model.lock import Lock
from bluestone.model.recipe import Recipe


def lock_file(recipe: Recipe, store: ImageStore) -> Path:
    """Where the lock of a recipe's packages is."""
    made_of = (recipe.base, packages_of(recipe), *([tools(recipe)] if tools(recipe) else []))
    name = hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
    return store.directory / f"test-{name}.lock"


def lock_of(recipe: Recipe, store: ImageStore, progress: Callable[[str], None] = print) -> Lock:
    """The lock of a recipe's packages; resolved once in the life of a store."""
    return own_lock(recipe, lock_file(recipe, store), store.packages, progress)


def hand_over(recipe: Recipe, store: ImageStore, other: ImageStore) -> Path:
    """Copy the lock of a recipe and the packages that it names to another store; return the lock's file there."""
    other.packages.directory.mkdir(parents=True, exist_ok=True)
    for package in lock_of(recipe, store).every:
        shutil.copy(store.packages.path(package.sha256), other.packages.directory)
    return Path(shutil.copy(lock_file(recipe, store), other.directory))


def build_locked(
    recipe: Recipe, store: ImageStore, engine: Engine | None = None, progress: Callable[[str], None] = print
) -> Image:
    """The image of a recipe, by our engine unless another is given."""
    return build(recipe, lock_of(recipe, store, progress), store, engine or Own(), progress=progress)
