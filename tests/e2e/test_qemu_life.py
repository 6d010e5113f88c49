"""A fleet of a container and a virtual machine of one image, until the latter becomes a container too."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest

from bluestone.app.project import Project
from bluestone.host.paths import Home
from bluestone.logs.query.archive import Archive
from machine import Machine
from qemu_site import processes
from workplace import free_port

pytestmark = pytest.mark.e2e

SECRET = "hunter2-or-nothing"
PATIENCE = 900.0
"""Seconds for what may build an image and its tools, and boot by emulation on a busy machine."""

GROUP = """
[servers.vm]
provider = "qemu"
count = 1
ports = ["PORT:80"]
health = { path = "/health", timeout = "10s" }
environment = { STAGE = "test" }
secrets = { PASSWORD = "env:BLUESTONE_TEST_PASSWORD" }
rollout = { strategy = "rolling", progress = "10m" }
"""


def test_a_virtual_machine_serves_beside_a_container_and_its_lines_outlive_it(machine: Machine) -> None:
    port = free_port()
    machine.environment["BLUESTONE_TEST_PASSWORD"] = SECRET
    machine.set('packages = ["nginx-light"]', 'packages = ["linux-image-cloud-amd64", "nginx-light"]')
    machine.set("count = 3", "count = 1")
    machine.declaration.write_text(machine.declaration.read_text() + GROUP.replace("PORT", str(port)))
    machine.run("lock")
    try:
        machine.run("up", timeout=PATIENCE)
        check_that_it_serves(machine, port)
        name = check_that_it_is_confined(machine)
        check_its_first_lines(machine, name)
        machine.set('provider = "qemu"', 'provider = "podman"')
        machine.run("up", timeout=PATIENCE)
        check_that_it_moved(machine, port, name)
    finally:
        machine.run("down", timeout=PATIENCE)
    check_its_last_lines(machine, name)


def check_that_it_serves(machine: Machine, port: int) -> None:
    assert machine.get() == f"{(machine.directory / 'site/index.html').read_text()}"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        assert answer.read().decode() == machine.get()
    machine.run("plan", expect=0)  # nothing is left to do


def check_that_it_is_confined(machine: Machine) -> str:
    (server,) = [server for server in machine.servers() if server["group"] == "vm"]
    name = str(server["name"])
    (line,) = [line for line in processes() if line.startswith("qemu-system") and name in line]
    assert SECRET not in " ".join(processes())
    pids = [path for path in Path("/proc").glob("[0-9]*") if command_of(path) == line]
    status = dict(each.split(":\t", 1) for each in (pids[0] / "status").read_text().splitlines() if ":\t" in each)
    if os.geteuid() == 0:
        assert "0" not in status["Uid"].split()
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    return name


def check_that_it_moved(machine: Machine, port: int, name: str) -> None:
    """A container answers instead, and the virtual machine is gone."""
    (server,) = [server for server in machine.servers() if server["group"] == "vm"]
    assert server["name"] != name
    assert not [line for line in processes() if name in line]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        assert answer.read().decode() == machine.get()


def command_of(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def check_its_first_lines(machine: Machine, name: str) -> None:
    """Its kernel's from its journal, by TLS; its firmware's, which are in no journal, from its console."""
    for text, console in (("Linux version", False), ("BdsDxe: starting", True)):
        (line,) = [json.loads(line) for line in machine.run("logs", name, "--grep", text, "--json").splitlines()]
        assert line["identity"]["server"] == name
        assert (line["unit"] == "console") == console


def check_its_last_lines(machine: Machine, name: str) -> None:
    lines = machine.run("logs", name, "--number", "100000")
    assert "goodbye after" in lines
    assert "reboot: Power down" in lines
    project = Project.open(machine.declaration)
    home = Home(machine.home, machine.home / "run")
    with_home = Project(project.declaration, home)
    archive = Archive(with_home.logs)
    try:
        assert archive.said_goodbye(name)
    finally:
        archive.close()
    assert list((with_home.state / "consoles").iterdir()) == []
