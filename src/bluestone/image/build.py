"""Recipe and lock -> image: a base of packages, then everything that the recipe lays on it. Nothing is built twice."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bluestone import __version__
from bluestone.image import lockdown, provenance
from bluestone.image.archive import of_recipe
from bluestone.image.assembly import Assembly
from bluestone.image.builders.port import Engine
from bluestone.image.flush import flush_tree
from bluestone.image.inputs import digest, file_inputs
from bluestone.image.lock.file import render
from bluestone.image.packagestore import PackageStore
from bluestone.image.provision import hooks
from bluestone.image.route import engine_name, family, installed, module_digests, nearest, stage_key
from bluestone.image.sbom import silent
from bluestone.image.stages import Stage, StageStore
from bluestone.image.store import LOCK, Facts, ImageStore
from bluestone.model.ids import short
from bluestone.model.image import Image
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem
from bluestone.model.recipe import Recipe

Progress = Callable[[str], None]

SHAPERS = (
    *("assemble", "derive", "install", "lockdown", "normalise", "overlay", "overlayfs", "packages"),
    *("provision/shell", "remove", "sandbox", "tree"),
)
"""Modules that decide what a tree is like: images are built anew when one changes, and named the same if it is
without consequence."""

INSTALL_LIMIT = 3600.0
"""Seconds that it may take to install a lock's packages."""

COMMAND_LIMIT = 900.0
"""Seconds that one command of `image.run`, or one tool, may take."""

ASSEMBLY_LIMIT = 1800.0
"""Seconds that an assembly may take besides the commands and tools of its recipe."""


def build_key(recipe: Recipe, lock: Lock) -> str:
    """SHA-256 over all inputs of an image: packages, recipe, contents of its files, bluestone's own part.

    Raises `Problem` for a file that cannot be read.
    """
    # Which packages there are is in the lock.
    laid = replace(recipe, base=replace(recipe.base, archive=None), packages=(), archives=(), debs=(), files=())
    laid = replace(laid, puppet=None, ansible=None)
    return digest(
        {
            "recipe": laid,
            "files": [file_inputs(file) for file in recipe.files],
            "hooks": [hooks.inputs(recipe), hooks.own_part(recipe)],
            "lock": locked_inputs(lock),
            "shapers": module_digests(SHAPERS),
        }
    )


def locked_inputs(lock: Lock) -> dict[str, object]:
    """What of a lock decides the tree: not where its packages come from, nor why they are there."""
    return {
        "base": lock.base,
        "architecture": lock.architecture,
        "packages": installed(lock),
        "tools": {name: [each.sha256 for each in packages] for name, packages in sorted(lock.tools.items())},
    }


def packages_of(recipe: Recipe) -> list[str]:
    """The packages that are asked for, bluestone's own among them; what they depend on comes with them."""
    return sorted({*recipe.packages, *lockdown.PACKAGES})


def build(
    recipe: Recipe,
    lock: Lock,
    store: ImageStore,
    engine: Engine,
    *,
    progress: Progress,
    scratch: bool = False,
    twice: bool = False,
) -> Image:
    """The image of a recipe and its lock: the stored one, or a new one. Of two builds of one the second waits.

    With `scratch` it is made from nothing, whatever is stored, and what is stored is compared with that. With `twice`
    it is made anew from the stage of its packages, and what provisions is applied twice. Packages of the lock that are
    not in `store.packages` are fetched; where all are, no archive is asked. `progress` gets short lines for people.
    Raises `Problem`, also for a stored image that a build from nothing has shown to be wrong, and with `twice` if the
    second time changed anything; a build that fails or is killed leaves no image behind.
    """
    key, anew = build_key(recipe, lock), scratch or twice
    if twice and not hooks.hooks(recipe):
        raise Problem(
            "nothing provisions the image: there is nothing to apply twice",
            mend="leave --twice away; it is for image.puppet and image.ansible",
        )
    if not anew and (image := _stored(key, store)):
        return image
    began = time.monotonic()
    with store.building(key, progress):
        if not anew and (image := _stored(key, store)):
            return image
        image = _build(recipe, lock, key, store, engine, progress, scratch=scratch, twice=twice)
    progress(f"image {short(image.digest)} ready in {time.monotonic() - began:.1f} s")
    return image


def _stored(key: str, store: ImageStore) -> Image | None:
    image = store.find(key)
    if image is not None:
        store.require_sound(image.digest)
    return image


def _build(
    recipe: Recipe,
    lock: Lock,
    key: str,
    store: ImageStore,
    engine: Engine,
    progress: Progress,
    *,
    scratch: bool,
    twice: bool,
) -> Image:
    began = datetime.now(UTC)
    with staged(recipe, lock, store, engine, progress, scratch=scratch) as stage, store.workplace() as work:
        progress("laying the recipe over its packages")
        _assemble(recipe, lock, stage.directory, work, store.packages, progress, twice=twice)
        if build_key(recipe, lock) != key:
            raise Problem(
                "the files of the recipe were changed while the image was built",
                mend="run the same again, and leave them alone meanwhile",
            )
        text = render(lock).encode()
        (work / LOCK).write_bytes(text)
        _record(recipe, hashlib.sha256(text).hexdigest(), key, engine, began, work)
        return store.add(work, _describe(recipe, key, work, stage))


@contextmanager
def staged(
    recipe: Recipe, lock: Lock, store: ImageStore, engine: Engine, progress: Progress, *, scratch: bool = False
) -> Iterator[Stage]:
    """The stage of a lock's packages, which is not removed meanwhile: a stored one, or one that is made now."""
    of_family = family(lock, engine)
    key = stage_key(lock, of_family)
    while True:
        if not scratch:
            with store.stages.in_use(key) as stage:
                if stage is not None and _sound(stage, store.stages):
                    yield stage
                    return
        with store.building(key, progress):
            stage = store.stages.find(key)
            if scratch or stage is None or not _sound(stage, store.stages):
                with store.packages.in_use():
                    _fetch(recipe, lock, store.packages, progress)
                    from_nothing = scratch or stage is not None
                    make_stage(lock, of_family, store, engine, progress, from_nothing=from_nothing)
        scratch = False


def make_stage(
    lock: Lock, of_family: str, store: ImageStore, engine: Engine, progress: Progress, *, from_nothing: bool
) -> Stage:
    """Make the stage of a lock whose packages are in the store, from the nearest that is there or from nothing.

    One from nothing is compared with what is stored, and takes its place if that is not the same. The caller holds
    the right to build it. Raises `Problem`.
    """
    from bluestone.image.install import Order
    from bluestone.image.worker import carry_out

    key = stage_key(lock, of_family)
    others = [] if from_nothing else [each for each in store.stages.list() if each.family == of_family]
    near = nearest(lock, others, engine, lambda stage: _sound(stage, store.stages))
    with ExitStack() as held, store.workplace() as work:
        below = held.enter_context(store.stages.in_use(near.key)) if near else None
        order = Order(engine_name(engine), lock, store.packages.directory, work)
        if near is None or below is None:
            progress(f"installing {len(lock.packages)} packages of {lock.base}")
        else:
            order = replace(order, below=below.directory, before=near.lock)
            progress(f"changing packages of {lock.base} that were installed before")
        made_new = carry_out("bluestone.image.install", order, bool, progress=progress, timeout=INSTALL_LIMIT)
        flush_tree(work)
        if below is not None and not made_new:
            made = store.stages.add(work, key, of_family, lock, patched=True)
            silent.inherit(below.directory, made.directory)
            return made
        return store.stages.conclude(work, key, of_family, lock)


def _sound(stage: Stage, stages: StageStore) -> bool:
    return stages.state(stage.key, stage.tree) != "mismatch"


def _fetch(recipe: Recipe, lock: Lock, packages: PackageStore, progress: Progress) -> None:
    """Have all packages of the lock in the store."""
    for deb in recipe.debs:
        if deb.path.is_file():
            packages.add(deb.path)
    packages.ensure(lock.every, of_recipe(recipe), progress)


def _assemble(
    recipe: Recipe, lock: Lock, stage: Path, work: Path, packages: PackageStore, progress: Progress, *, twice: bool
) -> None:
    from bluestone.image.worker import carry_out

    with packages.in_use():
        if lock.tools:
            packages.ensure(lock.every, of_recipe(recipe), progress)
        order = Assembly(stage, work, recipe, COMMAND_LIMIT, tool_files(lock, packages), twice)
        limit = ASSEMBLY_LIMIT + COMMAND_LIMIT * (len(recipe.run) + 2 * len(lock.tools))
        carry_out("bluestone.image.assemble", order, str, progress=progress, timeout=limit)


def tool_files(lock: Lock, packages: PackageStore) -> dict[str, tuple[Path, ...]]:
    """Where the packages of each tool of a lock are."""
    return {tool: tuple(packages.path(each.sha256).absolute() for each in those) for tool, those in lock.tools.items()}


def _record(recipe: Recipe, lock: str, key: str, engine: Engine, began: datetime, work: Path) -> None:
    """Write down how the image came about, for whoever signs it; `lock` is the SHA-256 of the lock's text."""
    record = provenance.Build(
        key=key,
        recipe=provenance.parameters(recipe),
        lock=lock,
        engine=engine.name,
        engine_version=engine.version().removeprefix(f"{engine.name} "),
        bluestone=__version__,
        invocation=uuid.uuid4().urn,
        started=began,
        finished=datetime.now(UTC),
    )
    (work / provenance.FILE).write_bytes(msgspec.json.encode(record))


def _describe(recipe: Recipe, key: str, work: Path, stage: Stage) -> Facts:
    from bluestone.image.packages import parse_status
    from bluestone.image.tree import content_size
    from bluestone.image.tree import digest as name_of

    text = (work / "manifest").read_text()
    size, files = content_size(text)
    status = (work / "root" / "var" / "lib" / "dpkg" / "status").read_text()
    packages, now = parse_status(status), datetime.now(UTC)
    return Facts(name_of(text), key, size, files, packages, recipe.writable, now, stage.key, stage.tree)
