"""Recipe -> image: a base of packages, then everything that the recipe lays on it. Nothing is built twice."""

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
from bluestone.image.archive import ResolvedBase, resolve
from bluestone.image.builders.port import Engine
from bluestone.image.inputs import digest, file_inputs
from bluestone.image.store import Facts, ImageStore
from bluestone.model.ids import short
from bluestone.model.image import Image
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


def build_key(recipe: Recipe, archive: ResolvedBase) -> str:
    """SHA-256 over all inputs of an image: recipe, contents of its files, archive, bluestone's own part.

    Raises `Problem` for a file that cannot be read.
    """
    return digest(
        {
            "recipe": replace(recipe, files=()),
            "files": [file_inputs(file) for file in recipe.files],
            "archive": archive,
            "shapers": [hashlib.sha256((HERE / f"{name}.py").read_bytes()).hexdigest() for name in SHAPERS],
        }
    )


def base_key(recipe: Recipe, archive: ResolvedBase, engine: Engine) -> str:
    """SHA-256 over the inputs of the base alone: what is fetched and installed, and by what."""
    inputs = {"packages": packages_of(recipe), "archive": archive, "engine": [engine.name, engine.version()]}
    return digest(inputs)


def packages_of(recipe: Recipe) -> list[str]:
    """The packages that are asked for, bluestone's own among them; what they depend on comes with them."""
    return sorted({*recipe.packages, *lockdown.PACKAGES})


def build(recipe: Recipe, store: ImageStore, engine: Engine, *, progress: Progress, refresh: bool = False) -> Image:
    """The image of a recipe: the stored one, or a new one. Of two builds of one recipe the second waits.

    With `refresh`, packages are fetched anew from the archive as it is now. `progress` gets short lines for
    people. Raises `Problem`; a build that fails or is killed leaves no image behind.
    """
    archive = resolve(recipe.base)
    key = build_key(recipe, archive)
    if not refresh and (image := store.find(key)):
        return image
    began = time.monotonic()
    with store.building(key, progress):
        if not refresh and (image := store.find(key)):
            return image
        image = _build(recipe, archive, key, store, engine, progress, refresh=refresh)
    progress(f"image {short(image.digest)} ready in {time.monotonic() - began:.1f} s")
    return image


def _build(
    recipe: Recipe,
    archive: ResolvedBase,
    key: str,
    store: ImageStore,
    engine: Engine,
    progress: Progress,
    *,
    refresh: bool,
) -> Image:
    from bluestone.image.sandbox import require_namespaces

    require_namespaces()
    base = _base(recipe, archive, store, engine, progress, refresh=refresh)
    with store.workplace() as work:
        progress("laying the recipe over its packages")
        _assemble(recipe, base, work, progress)
        if build_key(recipe, archive) != key:
            raise Problem(
                "the files of the recipe were changed while the image was built",
                mend="run the same again, and leave them alone meanwhile",
            )
        return store.add(work, _describe(recipe, key, work))


def _base(
    recipe: Recipe,
    archive: ResolvedBase,
    store: ImageStore,
    engine: Engine,
    progress: Progress,
    *,
    refresh: bool,
) -> Path:
    """The tar of the recipe's packages: a stored one, or one that the engine makes."""
    key = base_key(recipe, archive, engine)
    if not refresh and (tar := store.base(key)):
        return tar
    with store.building(key, progress):
        if not refresh and (tar := store.base(key)):
            return tar
        with store.workplace() as work:
            names = packages_of(recipe)
            progress(f"installing {', '.join(names)} from {archive.distribution} {archive.suite}")
            engine.bootstrap(archive, names, work / "base.tar", progress)
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
