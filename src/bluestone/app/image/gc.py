"""`gc`: remove the images and packages on this machine that nobody needs any more, whichever project made them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from bluestone.app import wiring
from bluestone.app.fleet.goals import current, served_before
from bluestone.app.image.build import image_key
from bluestone.app.image.lock import peek, read_lock
from bluestone.app.project import Project
from bluestone.app.projects import on_this_machine
from bluestone.app.running import running
from bluestone.image.build import build_key
from bluestone.image.formats import tools
from bluestone.image.garbage import Verdict, judge
from bluestone.image.lock import stored
from bluestone.image.store import LOCK, ImageStore
from bluestone.model.problem import Problem

BUSY = timedelta(hours=1)
"""For how long somebody who was about to use an image may not have got to it."""


class Policy(Struct, frozen=True):
    """What stays besides what is in use: `keep` generations before each group's current one, and what is newer than
    `unused_for`."""

    keep: int
    unused_for: timedelta


class Cleaning(Struct, frozen=True):
    """What `gc` did, or with `dry` would do. `freed` is what became free on the disk, `packages` how many packages
    went; `free` is what is free there now; both sizes in bytes."""

    dry: bool
    verdicts: tuple[Verdict, ...]
    packages: int
    freed: int
    free: int


def collect(project: Project, policy: Policy, *, dry: bool) -> Cleaning:
    """Remove what no server runs on, nobody can roll back to, and nobody asked for lately.

    The store of images is shared by the projects of this machine, so the servers of all of them are looked at.
    Whoever calls it keeps others from acting on this project meanwhile. Raises `Problem`, having removed nothing, if
    not everything can be seen.
    """
    now, store = datetime.now(UTC), wiring.images(project)
    images = store.list()
    needed = _needed(project, store, policy.keep)
    used = {str(image.digest): store.used_at(image.digest) for image in images}
    verdicts = judge(images, needed, used, now, policy.unused_for)
    doomed = [verdict.image for verdict in verdicts if not verdict.kept]
    kept = [verdict.image.root.parent / LOCK for verdict in verdicts if verdict.kept]
    locks = [stored.read(file) for file in (*kept, store.directory / tools.LOCK)] + [read_lock(project)]
    # What it takes to prove a patched stage.
    locks += [stage.lock for stage in store.stages.unproved()]
    reachable = {package.sha256 for lock in locks if lock is not None for package in lock.every}
    before, limit = _free(store), now - policy.unused_for
    if dry:
        packages = store.packages.unreachable(reachable, limit)
    else:
        for image in doomed:
            store.remove(image.digest)
        for stage in store.stages.list():
            if stage.last_use < limit:
                store.stages.remove(stage.key)
        store.sweep_keys()
        store.sweep_proofs(limit)
        packages = store.packages.sweep(reachable, limit)
    free = _free(store)
    return Cleaning(dry, tuple(verdicts), len(packages), max(0, free - before), free)


def retire(project: Project, candidates: Iterable[str]) -> list[str]:
    """Remove those of these images that nobody needs: no server runs on one, no group would go back to it. Return them.

    One that somebody was about to use within the last hour stays: another project may just be building on it. Raises
    `Problem`, having removed nothing, if not everything can be seen.
    """
    store = wiring.images(project)
    here = sorted(set(candidates) & set(store.digests()))
    needed = _needed(project, store, keep=1) if here else {}
    limit = datetime.now(UTC) - BUSY
    gone = [digest for digest in here if digest not in needed and store.used_at(digest) < limit]
    for digest in gone:
        store.remove(digest)
    if gone:
        store.sweep_keys()
    return gone


def _needed(project: Project, store: ImageStore, keep: int) -> dict[str, str]:
    """Why images must stay, by digest; the strongest reason of each."""
    needed: dict[str, str] = {}
    lock = peek(project)
    if lock is not None and (image := store.find(image_key(project, lock))):
        needed[image.digest] = f"declared in {project.file.name}"
    if packing := _tools(project, store):
        needed[packing] = "packs images"
    for each in on_this_machine(project):
        for digest, generation in _generations(each, keep):
            needed[digest] = f"generation {generation} of {each.name}"
    for each in on_this_machine(project):
        for digest, server in _running(each):
            needed[digest] = f"server {server}"
    return needed


def _generations(project: Project, keep: int) -> Iterator[tuple[str, str]]:
    """The images of each group's current generation and of the `keep` that served before, and what they are."""
    for group in project.journal.declared():
        now = current(project, group.name)
        for number in [now, *served_before(project, group.name, now)][: keep + 1]:
            if generation := project.journal.generation_number(group.name, number):
                yield generation.image, f"{number} of {group.name}"


def _running(project: Project) -> Iterator[tuple[str, str]]:
    """The images of all servers there are. Raises `Problem` if some cannot be seen."""
    listing = running(project)
    if listing.gaps:
        raise Problem(
            f"not every server of {project.name} can be seen: {'; '.join(listing.gaps)}",
            mend="mend that and run `bluestone gc` again",
            left="nothing was removed",
        )
    for server in listing.servers:
        yield server.image, server.name


def _tools(project: Project, store: ImageStore) -> str | None:
    """The image of the tools that pack images, if it is here."""
    lock = stored.read(store.directory / tools.LOCK)
    image = store.find(build_key(tools.recipe(project.declaration.recipe.base), lock)) if lock else None
    return image.digest if image else None


def _free(store: ImageStore) -> int:
    """Bytes, on the disk where the store is or will be."""
    place = next(place for place in (store.directory, *store.directory.parents) if place.is_dir())
    return shutil.disk_usage(place).free
