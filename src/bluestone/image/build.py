"""Recipe and lock -> image: a base of packages, then everything that the recipe lays on it. Nothing is built twice."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bluestone.image import lockdown
from bluestone.image.archive import of_recipe
from bluestone.image.builders.port import Engine
from bluestone.image.inputs import digest, file_inputs
from bluestone.image.lock.file import render
from bluestone.image.packagestore import PackageStore
from bluestone.image.store import LOCK, Facts, ImageStore
from bluestone.model.ids import short
from bluestone.model.image import Image
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem
from bluestone.model.recipe import Recipe

Progress = Callable[[str], None]

HERE = Path(__file__).parent
SHAPERS = ("assemble", "lockdown", "normalise", "overlay", "packages", "sandbox", "tree")
"""Modules that decide what a tree is like: images are built anew when one changes, and named the same if it is
without consequence. So there is no version that somebody has to remember to raise."""

COMMAND_LIMIT = 900.0
"""Seconds that one command of `image.run` may take."""

ASSEMBLY_LIMIT = 1800.0
"""Seconds that an assembly may take besides the commands of its recipe."""


def build_key(recipe: Recipe, lock: Lock) -> str:
    """SHA-256 over all inputs of an image: packages, recipe, contents of its files, bluestone's own part.

    Raises `Problem` for a file that cannot be read.
    """
    # Which packages there are is in the lock.
    laid = replace(recipe, base=replace(recipe.base, archive=None), packages=(), archives=(), debs=(), files=())
    return digest(
        {
            "recipe": laid,
            "files": [file_inputs(file) for file in recipe.files],
            "lock": locked_inputs(lock),
            "shapers": [hashlib.sha256((HERE / f"{name}.py").read_bytes()).hexdigest() for name in SHAPERS],
        }
    )


def base_key(lock: Lock, engine: Engine) -> str:
    """SHA-256 over the inputs of the base alone: what is installed, and by what."""
    return digest({"lock": locked_inputs(lock), "engine": [engine.name, engine.version()]})


def locked_inputs(lock: Lock) -> dict[str, object]:
    """What of a lock decides the tree: not where its packages come from, nor why they are there."""
    return {
        "base": lock.base,
        "architecture": lock.architecture,
        "packages": [(package.key, package.version, package.sha256) for package in lock.packages],
        "tools": {name: [each.sha256 for each in packages] for name, packages in sorted(lock.tools.items())},
    }


def packages_of(recipe: Recipe) -> list[str]:
    """The packages that are asked for, bluestone's own among them; what they depend on comes with them."""
    return sorted({*recipe.packages, *lockdown.PACKAGES})


def build(recipe: Recipe, lock: Lock, store: ImageStore, engine: Engine, *, progress: Progress) -> Image:
    """The image of a recipe and its lock: the stored one, or a new one. Of two builds of one the second waits.

    Packages of the lock that are not in `store.packages` are fetched; where all are, no archive is asked. `progress`
    gets short lines for people. Raises `Problem`; a build that fails or is killed leaves no image behind.
    """
    key = build_key(recipe, lock)
    if image := store.find(key):
        return image
    began = time.monotonic()
    with store.building(key, progress):
        if image := store.find(key):
            return image
        image = _build(recipe, lock, key, store, engine, progress)
    progress(f"image {short(image.digest)} ready in {time.monotonic() - began:.1f} s")
    return image


def _build(recipe: Recipe, lock: Lock, key: str, store: ImageStore, engine: Engine, progress: Progress) -> Image:
    from bluestone.image.sandbox import require_namespaces

    require_namespaces()
    with store.packages.in_use():
        _fetch(recipe, lock, store.packages, progress)
        base = _base(lock, store, engine, progress)
    with store.workplace() as work:
        progress("laying the recipe over its packages")
        _assemble(recipe, base, work, progress)
        if build_key(recipe, lock) != key:
            raise Problem(
                "the files of the recipe were changed while the image was built",
                mend="run the same again, and leave them alone meanwhile",
            )
        (work / LOCK).write_text(render(lock))
        return store.add(work, _describe(recipe, key, work))


def _fetch(recipe: Recipe, lock: Lock, packages: PackageStore, progress: Progress) -> None:
    """Have all packages of the lock in the store."""
    for deb in recipe.debs:
        if deb.path.is_file():
            packages.add(deb.path)
    packages.ensure(lock.every, of_recipe(recipe), progress)


def _base(lock: Lock, store: ImageStore, engine: Engine, progress: Progress) -> Path:
    """The tar of the lock's packages: a stored one, or one that the engine makes."""
    key = base_key(lock, engine)
    if tar := store.base(key):
        return tar
    with store.building(key, progress):
        if tar := store.base(key):
            return tar
        with store.workplace() as work:
            progress(f"installing {len(lock.packages)} packages of {lock.base}")
            names = [package.name for package in lock.packages]
            engine.bootstrap(lock, store.packages, names, work / "base.tar", progress)
            return store.add_base(key, work / "base.tar")


def _assemble(recipe: Recipe, base: Path, work: Path, progress: Progress) -> None:
    from bluestone.image.assemble import Order, Said, Trouble
    from bluestone.image.child import follow
    from bluestone.image.sandbox import enclosed

    troubles: list[Trouble] = []

    def hear(line: str) -> None:
        try:
            message = msgspec.json.decode(line, type=Said | Trouble)
        except msgspec.DecodeError:
            return  # What else is said is quoted if it ends badly.
        if isinstance(message, Said):
            progress(message.text)
        else:
            troubles.append(message)

    ending = follow(
        enclosed([sys.executable, "-m", "bluestone.image.assemble"]),
        hear,
        timeout=ASSEMBLY_LIMIT + COMMAND_LIMIT * len(recipe.run),
        stdin=msgspec.json.encode(Order(base, work, recipe, COMMAND_LIMIT), enc_hook=str),
    )
    if troubles:
        raise Problem(troubles[0].what, mend=troubles[0].mend)
    if ending.status != 0:
        what = "did not end in time" if ending.status is None else "failed"
        raise Problem(f"the assembly of the image {what}:{ending.quoted()}", mend="mend what it says")


def _describe(recipe: Recipe, key: str, work: Path) -> Facts:
    from bluestone.image.packages import parse_status
    from bluestone.image.tree import content_size
    from bluestone.image.tree import digest as name_of

    text = (work / "manifest").read_text()
    size, files = content_size(text)
    status = (work / "root" / "var" / "lib" / "dpkg" / "status").read_text()
    return Facts(name_of(text), key, size, files, parse_status(status), recipe.writable, datetime.now(UTC))
