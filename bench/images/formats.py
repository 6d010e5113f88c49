"""From an image's tree to a bootable verified disk, and to a container that answers.

What is built once (the image, the tools) is built before the clock starts. Figures are medians of `RUNS` runs, the two
in turn, so that a drift of the machine meets both.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from statistics import median

from bench.images.figures import Figures, note, quiet
from bluestone.fleet.providers.podman import Podman
from bluestone.image.build import build
from bluestone.image.builders.own.engine import Own
from bluestone.image.formats import tools
from bluestone.image.formats.disk import make_disk
from bluestone.image.lock.stored import own_lock
from bluestone.image.store import ImageStore
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.image import Image
from bluestone.model.recipe import Base, Recipe
from bluestone.model.server import ServerSpec

RUNS = 5
PATIENCE = 60.0
"""Seconds to wait for a container that does not answer."""

RECIPE = Recipe(
    Base("debian", "trixie"),
    packages=("linux-image-cloud-amd64", "nginx-light"),
    units=("nginx.service",),
    writable=("/var/lib/nginx", "/var/log/nginx"),
)


def disk_s(image: Image, tools_root: Path, work: Path) -> float:
    """Wall seconds from the tree of an image to its bootable disk, safe on this machine's disk."""
    began = time.monotonic()
    make_disk(image.root, tools_root, work / "disk", quiet)
    took = time.monotonic() - began
    (work / "disk").unlink()
    return took


def container_s(image: Image, work: Path, run: int) -> float:
    """Wall seconds from the tree of an image, which serves port 80, to a container that answers. `run` counts up."""
    provider = Podman(f"bench-{work.name[-6:].lower()}", lambda _: image.root, work / "run", None)
    provider.prepare()
    generation = Generation("web", 1, image.digest, ServerConfig("podman", (80,)))
    spec = ServerSpec(f"bench-{work.name[-6:].lower()}", 0, run, generation, image.writable, {"environment": b""})
    try:
        began = time.monotonic()
        provider.create(spec)
        (server,) = provider.list_servers()
        assert server.endpoint is not None
        url = f"http://{server.endpoint.host}:{server.endpoint.ports[80]}/"
        while not _answers(url):
            if time.monotonic() - began > PATIENCE:
                raise SystemExit(f"{url} did not answer within {PATIENCE:g} s")
            time.sleep(0.005)
        return time.monotonic() - began
    finally:
        provider.destroy(spec.name, timedelta(seconds=5))
        provider.clear()


def measure() -> Figures:
    """Both, in seconds by the clock."""
    work = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    disks: list[float] = []
    containers: list[float] = []
    try:
        store = ImageStore(work / "images")
        note("building an image with a kernel, and the tools")
        image = _built(RECIPE, store, "bench.lock")
        tools_root = _built(tools.RECIPE, store, tools.LOCK).root
        for run in range(1, RUNS + 1):
            disks.append(disk_s(image, tools_root, work))
            containers.append(container_s(image, work, run))
            note(f"run {run}: disk {disks[-1]:.2f} s, container {containers[-1]:.2f} s")
    finally:
        shutil.rmtree(work)
    return Figures({}, {"disk_s": round(median(disks), 2), "container_s": round(median(containers), 2)})


def _built(recipe: Recipe, store: ImageStore, lock: str) -> Image:
    locked = own_lock(recipe, store.directory / lock, store.packages, quiet)
    return build(recipe, locked, store, Own(), progress=quiet)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False
