"""Space is given back on a real machine, and nothing that anybody needs goes."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestone.image.lock.stored import read
from bluestone.image.store import ImageStore
from machine import EXAMPLE, Machine
from workplace import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture
def alone(shared_home: Path, example_lock: Path, tmp_path: Path) -> Iterator[Machine]:
    """The example project on a machine of its own, which has the packages already: links, as they are many."""
    home = Path(tempfile.mkdtemp(prefix="bs-", dir="/var/tmp"))
    shared, own = (ImageStore(place / "images").packages for place in (shared_home, home))
    own.directory.mkdir(parents=True)
    lock = read(example_lock)
    assert lock is not None
    for package in set(lock.every) - set(shared.missing(lock.every)):
        os.link(shared.path(package.sha256), own.path(package.sha256))
    directory, port = tmp_path / "project", free_port()
    shutil.copytree(EXAMPLE, directory)
    shutil.copy(example_lock, directory / "bluestone.lock")
    one = Machine(home, directory, port)
    one.set('project = "web"', f'project = "gc{os.getpid()}"')
    one.set('"8080:80"', f'"{port}:80"')
    one.set("count = 3", "count = 1")
    try:
        yield one
    finally:
        one.run("down")
        shutil.rmtree(home)


def collect(machine: Machine, *options: str) -> tuple[dict[str, str], int]:
    """What `gc` said of each image, by digest, and how many packages went."""
    told = json.loads(machine.run("gc", "--json", *options))
    return {each["image"]["digest"]: each["kept"] for each in told["verdicts"]}, told["packages"]


def test_what_servers_run_on_and_go_back_to_stays_and_all_else_goes(alone: Machine) -> None:
    images = []
    for page in ("one", "two", "three"):
        alone.page(page)
        alone.run("up")
        images.append(json.loads(alone.run("servers", "--json"))[0]["image"])
    (server,) = alone.servers()
    assert collect(alone) == (
        dict.fromkeys(images, "used lately")
        | {
            images[1]: f"generation 2 of web of {alone.project}",
            images[2]: f"server {server['name']}",
        },
        0,
    ), "nothing goes at once"

    text = alone.run("gc", "--dry-run", "--unused-for", "0s")
    assert "would go" in text
    assert "would remove 1 images" in text
    verdicts, packages = collect(alone, "--unused-for", "0s")
    assert [digest for digest, kept in verdicts.items() if not kept] == [images[0]]
    assert packages == 0, "all three were built from the same ones"
    left = [each["digest"] for each in json.loads(alone.run("images", "--json"))]
    assert sorted(left) == sorted(images[1:])
    assert "three" in alone.get()

    alone.run("rollback")
    assert "two" in alone.get()
    refused = alone.run("gc", "--unused-for", "soon", expect=1)
    assert "not a duration" in refused
