"""A machine's real tools, one shared image store, and projects that leave nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from leftovers import sweep
from machine import EXAMPLE, Machine
from workplace import free_port, shared_cache

TOOLS = ("podman", "haproxy")


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Path]:
    """A short path (sockets have a limit), whose image store all tests share."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    sweep()
    cache = shared_cache()
    home = cache or Path(tempfile.mkdtemp(prefix="bs-", dir="/var/tmp"))
    home.mkdir(parents=True, exist_ok=True)
    yield home
    if not cache:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def example_lock(shared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lock of the example project: resolved once, so that all tests have the same packages."""
    kept = shared_home / "example.lock"
    one = Machine(shared_home, tmp_path_factory.mktemp("lock") / "web", 0)
    shutil.copytree(EXAMPLE, one.directory)
    if kept.exists():
        shutil.copy(kept, one.directory / "bluestone.lock")
    one.run("lock")
    shutil.copy(one.directory / "bluestone.lock", kept)
    return kept


_numbers = count(1)


@pytest.fixture
def machine(shared_home: Path, example_lock: Path, tmp_path: Path) -> Iterator[Machine]:
    """The example project under a name of its own; whatever the test did, it is taken down."""
    name = f"t{os.getpid()}x{next(_numbers)}"
    directory = tmp_path / "project"
    shutil.copytree(EXAMPLE, directory)
    port = free_port()
    one = Machine(shared_home, directory, port)
    shutil.copy(example_lock, directory / "bluestone.lock")
    one.set('project = "web"', f'project = "{name}"')
    one.set('"8080:80"', f'"{port}:80"')
    original = one.declaration.read_text()
    try:
        yield one
    finally:
        one.declaration.write_text(original)
        one.environment = {}
        one.run("down")
        shutil.rmtree(shared_home / "projects" / name, ignore_errors=True)
    leftovers = subprocess.run(
        ["podman", "ps", "-a", "--filter", f"label=bluestone.project={name}", "--format", "{{.Names}}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert leftovers == "", "containers are left behind"
    assert name not in subprocess.run(["podman", "network", "ls"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/mounts").read_text()
    assert name not in mounts
