"""One fleet, its journal in PostgreSQL, and two machines that want to lead it: two homes with a declaration each."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import Machine, until
from postgres_server import PostgresServer, needs_postgres

pytestmark = [pytest.mark.e2e, needs_postgres]


@pytest.fixture
def another(machine: Machine, tmp_path: Path) -> Iterator[Machine]:
    """The same project on another machine, with the same images."""
    home = Path(tempfile.mkdtemp(prefix="bs-", dir="/var/tmp"))
    (home / "images").symlink_to(machine.home / "images")
    directory = tmp_path / "another"
    shutil.copytree(machine.directory, directory)
    yield Machine(home, directory, machine.port)
    shutil.rmtree(home)


def test_one_leads_is_killed_and_goes_on_and_the_other_is_told(
    machine: Machine, another: Machine, postgres_server: PostgresServer
) -> None:
    machine.set("count = 3", "count = 1")
    # So that the other meets a rollout that is under way.
    machine.set("[servers.web.rollout]\n", '[servers.web.rollout]\nmin_ready = "8s"\n')
    declared = machine.declaration.read_text()
    for one in (machine, another):
        one.declaration.write_text(f'{declared}\n[state]\nstore = "{postgres_server.address}"\n')
    another.page("of another declaration")
    try:
        machine.run("up")
        assert epochs(machine) == {"1"}

        machine.page("second")
        up = machine.popen("up")
        until(lambda: "2" in epochs(machine), "the second rollout has created a server")
        assert "another controller leads this fleet: process" in another.run("up", expect=1)
        up.kill()
        up.wait()
        refused = another.run("up", expect=1)
        assert "this fleet was last led from another machine: process" in refused
        assert "--take-over" in refused

        machine.run("up")
        assert "second" in machine.get()
        assert "did not give the lease back" in machine.run("events")
        assert machine.run("events", "--verify").startswith("whole")
        assert "led last, epoch 3: process" in machine.run("state", "show")
    finally:
        machine.run("down")
        machine.declaration.write_text(declared)
        assert "moved from postgresql://" in machine.run("state", "move")
    assert machine.run("events", "--verify").startswith("whole")


def epochs(machine: Machine) -> set[str]:
    """The leases under which the containers that there are were made."""
    label = '{{index .Labels "bluestone.epoch"}}'
    command = ["podman", "ps", "-a", "--filter", f"label=bluestone.project={machine.project}", "--format", label]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
