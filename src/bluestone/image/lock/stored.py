"""Locks in files: a project's own, and those of trees that bluestone needs for itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.image.archive import of_recipe
from bluestone.image.build import packages_of
from bluestone.image.lock import file as lockfile
from bluestone.image.lock.agree import disagreements
from bluestone.image.lock.wanted import Wanted
from bluestone.image.packagestore import PackageStore
from bluestone.image.provision.hooks import tools
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem
from bluestone.model.recipe import Recipe

MODE = 0o644
"""A lock is no secret: that of a project is committed beside its declaration."""


def read(path: Path) -> Lock | None:
    """The lock in a file, or None if there is none yet. Raises `Problem` for one that is damaged or cannot be read."""
    try:
        with path.open("rb") as opened:
            content = opened.read(lockfile.MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}", mend="make it a file that you may read") from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Problem(f"{path} is not UTF-8", mend=lockfile.MEND) from error
    return lockfile.parse(text.replace("\r\n", "\n"), str(path))


def write(path: Path, lock: Lock) -> None:
    """Put a lock into a file: all of it, or nothing. Raises `Problem`."""
    write_atomically(path, lockfile.render(lock).encode(), MODE)


def own_lock(recipe: Recipe, file: Path, store: PackageStore, progress: Callable[[str], None]) -> Lock:
    """The lock of a recipe, which `file` keeps: resolved if it is not there, or is of other packages.

    Remove the file to have its packages anew. Raises `Problem` and `Problems`.
    """
    from bluestone.image.lock.resolve import resolve

    wanted = Wanted(of_recipe(recipe), tuple(packages_of(recipe)), tools=tools(recipe))
    old = read(file)
    if old is not None and not disagreements(old, wanted):
        return old
    made = resolve(wanted, store, progress, old=old)
    private_directory(file.parent)
    write(file, made)
    return made
