"""What tests of the podman provider share: a tree to start servers from, and a project that is cleaned up."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from bluestone.fleet.providers.podman import Podman
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Resources
from bluestone.model.ids import Digest
from bluestone.model.recipe import Base, Recipe
from bluestone.model.server import Endpoint, ServerSpec
from leftovers import project_name, sweep
from workplace import shared_cache

IMAGE = Digest("sha256:" + "1f3a9c0d" * 8)
WRITABLE = ("/var/lib/nginx", "/var/log/nginx")
RECIPE = Recipe(
    Base("debian", "trixie"),
    packages=("nginx-light", "python3-minimal"),
    units=("nginx.service",),
    writable=WRITABLE,
)


@pytest.fixture(scope="session")
def server_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tree of a Debian with systemd and nginx, built once in `$BLUESTONE_TEST_CACHE`."""
    for tool in ("apt-get", "podman", "mmdebstrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    sweep()
    from bluestone.image.store import ImageStore
    from locked import build_locked

    cache = shared_cache()
    home = cache or tmp_path_factory.getbasetemp() / "podman-site"
    yield build_locked(RECIPE, ImageStore(home / "images")).root
    if not cache:
        shutil.rmtree(home, ignore_errors=True)


def spec(project: str, slot: int = 0, incarnation: int = 1, **changes: object) -> ServerSpec:
    """A server of nginx on port 80. `memory` (bytes), `bootfiles`, `group` and `volumes` may be chosen."""
    memory = changes.get("memory")
    resources = Resources(memory=memory if isinstance(memory, int) else None)
    generation = Generation(
        str(changes.get("group", "web")),
        3,
        IMAGE,
        ServerConfig("podman", (80,), resources=resources, volumes=changes.get("volumes", ())),  # type: ignore[arg-type]
    )
    bootfiles = changes.get("bootfiles", {"environment": b'A="1"\n'})
    assert isinstance(bootfiles, dict)
    return ServerSpec(project, slot, incarnation, generation, WRITABLE, bootfiles)


@dataclass
class Site:
    """A project on this machine, with podman's own command line to look behind the provider's back."""

    root: Path
    directory: Path
    project: str = field(default_factory=project_name)

    def __post_init__(self) -> None:
        self.log_directory = self.directory / "logs"
        self.log_directory.mkdir()
        self.provider = self.provide(self.project)

    def provide(self, project: str) -> Podman:
        return Podman(project, lambda _: self.root, self.directory / project, self.log_directory)

    def container(self, server: str) -> str:
        return f"bluestone-{self.project}.{server}"

    def on_server(self, server: str, *command: str) -> str:
        """What a command prints on a server."""
        return podman("exec", self.container(server), *command)

    def kill(self, server: str) -> None:
        podman("kill", "--signal", "KILL", self.container(server))

    def destroy_all(self) -> None:
        for server in self.provider.list_servers():
            self.provider.destroy(server.name, timedelta(0))
        for volume in self.provider.list_volumes():
            self.provider.remove_volume(volume.name)
        self.provider.clear()


@contextmanager
def site(root: Path) -> Iterator[Site]:
    """A site that is taken down, whatever the test did; that nothing of it is left is checked."""
    directory = Path(mkdtemp(prefix="bs-", dir="/var/tmp"))
    one = Site(root, directory)
    try:
        yield one
    finally:
        one.destroy_all()
        shutil.rmtree(directory)
    assert one.project not in podman("ps", "--all", "--format", "{{.Names}}")
    assert one.project not in podman("network", "ls", "--format", "{{.Name}}")
    assert one.project not in podman("volume", "ls", "--format", "{{.Name}}")
    assert one.project not in mounts()


def podman(*arguments: str) -> str:
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mounts() -> str:
    """What is mounted where podman mounts: without root, in a namespace of its own."""
    if os.geteuid() == 0:
        return Path("/proc/mounts").read_text()
    return podman("unshare", "cat", "/proc/mounts")


def status_of(endpoint: Endpoint | None, path: str = "/") -> int | None:
    """The HTTP status at port 80 of an endpoint; None while nobody answers."""
    assert endpoint is not None
    try:
        with urllib.request.urlopen(f"http://{endpoint.host}:{endpoint.ports[80]}{path}", timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def wait_for(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)
