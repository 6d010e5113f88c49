"""Builds from nothing, by a patch, and of one changed file, against mmdebstrap; and whether all routes give one digest.

mmdebstrap makes a tar on a file system in memory, from a repository of the same packages on this machine: no network,
no disk. Ours are processes of their own, so that Python's start counts. Both run in turn. Where the engine cannot
change a tree, there is no patch to measure, and `patch_vs_mmdebstrap` is null.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bench.images.figures import Cost, Figures, cost, medians, note, quiet, shown
from bluestone.app import wiring
from bluestone.image.archive import of_recipe
from bluestone.image.builders.mmdebstrap import command, environment
from bluestone.image.builders.port import Changer
from bluestone.image.lock.stored import own_lock, write
from bluestone.image.repository import make_repository, source_line
from bluestone.image.route import family, stage_key
from bluestone.image.store import ImageStore
from bluestone.model.lock import Lock
from bluestone.model.recipe import Base, OverlayFile, Recipe

RUNS = 5
MEMORY = Path("/dev/shm")
PAGE = OverlayFile("/var/www/html/index.html", content="page\n", owner="www-data")
RECIPE = Recipe(
    Base("debian", "trixie"),
    packages=("nginx-light", "python3-minimal"),
    files=(PAGE,),
    units=("nginx.service",),
    run=("nginx -t",),
    writable=("/var/lib/nginx", "/var/log/nginx"),
)
MORE = ("less", "tree", "pv")
"""Packages by which the patch differs: fewer than ten with what they depend on."""

SETS = (RECIPE.packages, ("python3-minimal",), (*RECIPE.packages, *MORE), ("nginx-light", "curl"))
"""Packages of the recipes whose routes are compared."""

SHAPES: tuple[dict[str, object], ...] = (
    {"files": ()},
    {"files": (OverlayFile("/etc/motd", content="x"), OverlayFile("/srv/a b/%", content="y", owner="daemon:adm"))},
    {"run": ("rm -rf /usr/share/doc", "mkdir /usr/share/doc")},
    {"run": ("useradd --system worker", "chmod 700 /usr/bin/perl", "ln -s /srv /opt/link")},
    {"writable": ("/var/lib/x", "/srv/y")},
)
"""What those recipes lay over their packages."""


class Bench:
    """A workplace with a store, and recipes and locks as files."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.store = ImageStore(work / "images")

    def lock(self, recipe: Recipe) -> Lock:
        """The lock of a recipe's packages, with all of them in the store."""
        file = self.work / f"{'-'.join(recipe.packages)}.lock"
        return own_lock(recipe, file, self.store.packages, quiet)

    def build(self, recipe: Recipe, lock: Lock, *how: str, store: ImageStore | None = None) -> str:
        """Build in a process of its own; return the digest."""
        described, locked = self.work / "recipe.json", self.work / "build.lock"
        described.write_bytes(msgspec.json.encode(recipe, enc_hook=str))
        write(locked, lock)
        place = str((store or self.store).directory)
        line = [sys.executable, "-m", "bench.images.one", place, str(described), str(locked), *how]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


def by_mmdebstrap(lock: Lock, store: ImageStore) -> None:
    """A tar of the lock's packages, in memory."""
    with _directory(MEMORY) as work:
        make_repository(work / "repository", lock, lock.packages, store.packages)
        subprocess.run(
            command(lock, work / "tar"),
            input=source_line(work / "repository", "copy").encode(),
            env=environment(work, os.environ),
            check=True,
            capture_output=True,
        )


def measure() -> Figures:
    """The ratios of medians, of processor time; and in how many of the recipes all routes gave one digest."""
    theirs: list[Cost] = []
    scratch: list[Cost] = []
    overlay: list[Cost] = []
    patch: list[Cost] = []
    children = resource.RUSAGE_CHILDREN
    with _directory(Path("/var/tmp")) as work:
        bench = Bench(work)
        lock, other = bench.lock(RECIPE), replace(RECIPE, packages=(*RECIPE.packages, *MORE))
        patched, can_patch = bench.lock(other), isinstance(wiring.engine(), Changer)
        for each in (lock, patched):
            bench.store.packages.ensure(each.every, of_recipe(RECIPE), quiet)
        bench.build(RECIPE, lock)
        for run in range(1, RUNS + 1):
            page = replace(RECIPE, files=(replace(PAGE, content=f"run {run}\n"),))
            theirs.append(cost(lambda: by_mmdebstrap(lock, bench.store), children))
            scratch.append(cost(lambda: bench.build(RECIPE, lock, "scratch"), children))
            overlay.append(cost(lambda recipe=page: bench.build(recipe, lock), children))  # type: ignore[misc]
            note(f"run {run}: mmdebstrap {shown(theirs)}; from nothing {shown(scratch)}; one file {shown(overlay)}")
            if can_patch:
                patch.append(cost(lambda: bench.build(other, patched), children))
                note(f"run {run}: patch {shown(patch)}")
                _forget(bench.store, patched)
        equal = routes_equal(bench)
    peer = medians(theirs).cpu
    ratios = {
        "scratch_cpu_vs_mmdebstrap": round(medians(scratch).cpu / peer, 3),
        "patch_vs_mmdebstrap": round(medians(patch).cpu / peer, 3) if patch else None,
        "overlay_vs_mmdebstrap": round(medians(overlay).cpu / peer, 3),
    }
    values = {
        "mmdebstrap_cpu_s": round(peer, 2),
        "mmdebstrap_wall_s": round(medians(theirs).wall, 2),
        "scratch_wall_s": round(medians(scratch).wall, 2),
        "patch_wall_s": round(medians(patch).wall, 2) if patch else None,
        "overlay_wall_s": round(medians(overlay).wall, 2),
        "routes": float(len(SETS) * len(SHAPES)),
        "routes_equal_pct": equal,
    }
    return Figures(ratios, values)


def routes_equal(bench: Bench) -> float:
    """Of how many recipes, in percent, all routes gave one digest: staged or patched, and from nothing elsewhere."""
    same, tried = 0, 0
    with _directory(MEMORY) as elsewhere:
        other = ImageStore(elsewhere / "another" / "home" / "images")
        other.directory.mkdir(parents=True)
        other.packages.directory.symlink_to(bench.store.packages.directory)
        for packages in SETS:
            recipe = replace(RECIPE, packages=packages, files=(), units=(), run=())
            lock = bench.lock(recipe)
            bench.store.packages.ensure(lock.every, of_recipe(recipe), quiet)
            first = True
            for shape in SHAPES:
                wanted = replace(recipe, **shape)
                here = bench.build(wanted, lock)
                there = bench.build(wanted, lock, *(["scratch"] if first else []), store=other)
                first = False
                tried += 1
                same += here == there
                if here != there:
                    note(f"different: {packages} {shape}")
            note(f"routes: {same} of {tried} recipes give one digest")
    return round(100 * same / tried, 1)


def _forget(store: ImageStore, lock: Lock) -> None:
    """Remove what was made of a lock, so that it is made again."""
    key = stage_key(lock, family(lock, wiring.engine()))
    store.stages.remove(key, wait=True)
    for image in store.list():
        if {package.name for package in image.packages} >= set(MORE):
            store.remove(image.digest)


@contextmanager
def _directory(parent: Path) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="bs-bench-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path)
