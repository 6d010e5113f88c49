"""Drift on real podman: found from outside, healed without a failed request; what is not bluestone's is left alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from machine import Machine
from podman_site import podman
from visitors import Visitors

pytestmark = pytest.mark.e2e


def container(machine: Machine, server: str) -> str:
    return f"bluestone-{machine.project}.{server}"


def names(machine: Machine) -> set[str]:
    label = f"label=bluestone.project={machine.project}"
    return set(podman("ps", "--filter", label, "--format", '{{index .Labels "bluestone.server"}}').split())


def drift(machine: Machine, *arguments: str, expect: int = 2) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.run("drift", "--json", *arguments, expect=expect))
    return found


def of(found: dict[str, Any], server: str) -> dict[str, Any]:
    (one,) = [each for each in found["servers"] if each["server"] == server]
    return dict(one)


def aspects(found: dict[str, Any], server: str) -> dict[str, set[str]]:
    """The subjects of what was found on a server, by aspect."""
    subjects: dict[str, set[str]] = {}
    for each in of(found, server)["drift"]:
        subjects.setdefault(each["aspect"], set()).add(each["subject"])
    return subjects


def from_outside(machine: Machine, server: str, script: str) -> None:
    """Run a script in a server's file system, past podman."""
    pid = podman("inspect", "--format", "{{.State.Pid}}", container(machine, server)).strip()
    subprocess.run(["nsenter", "--target", pid, "--mount", "sh", "-c", script], check=True, timeout=30)


PACKAGE = r"Package: intruder\nStatus: install ok installed\nVersion: 6.6\nArchitecture: all\n"


def test_all_that_differs_is_found_and_its_servers_are_replaced_without_a_failed_request(machine: Machine) -> None:
    machine.set("count = 3", "count = 2")
    machine.run("up")
    clean = drift(machine, expect=0)
    assert [(each["drift"], each["not_examined"]) for each in clean["servers"]] == [([], [])] * 2
    assert (clean["strays"], clean["gaps"]) == ([], [])

    entered, written = sorted(names(machine))
    inside = container(machine, entered)
    podman("exec", "-d", inside, "sh", "-c", "cp /bin/sleep /tmp/foreign; exec /tmp/foreign 1000")
    podman("exec", inside, "sh", "-c", "systemd-run --quiet --wait --unit=fails false; :")
    # Past podman: a root that is made writable, a file, and what dpkg would have written.
    packages = f"printf '\n{PACKAGE}' >> /var/lib/dpkg/status"
    from_outside(machine, written, f"mount -o remount,rw / && echo 1 > /etc/added && rm /etc/issue && {packages}")
    found = drift(machine)
    assert aspects(found, entered) == {
        "logins": {"podman exec"},
        "processes": {"/tmp/foreign"},
        "units": {"fails.service"},
    }
    assert aspects(found, written) == {"files": {"/", "/etc/added", "/etc/issue"}, "packages": {"intruder"}}
    assert all(of(found, name)["tainted"] for name in (entered, written))

    with Visitors(machine) as visitors:
        machine.run("drift", "--replace")
    assert set(visitors.statuses) == {200}
    assert not {entered, written} & names(machine)
    assert len(names(machine)) == 2
    drift(machine, expect=0)


@contextmanager
def made_by_somebody(machine: Machine, name: str, *options: str) -> Iterator[str]:
    """A container that somebody made by hand, of a server's image."""
    one = container(machine, next(name for name in names(machine) if name.startswith("web-")))
    root, runtime = podman("inspect", "--format", "{{.Rootfs}} {{.OCIRuntime}}", one).split()
    limits = ["--ulimit", "nofile=1000:1000", "--ulimit", "nproc=500:500"]
    full = f"{machine.project}-{name}"
    create = ["run", "-d", "--name", full, "--runtime", runtime, *limits, *options]
    podman(*create, "--rootfs", f"{root.partition(':')[0]}:O", "sleep", "1000")
    try:
        yield full
    finally:
        podman("rm", "--force", "--time", "0", full)


def test_what_nobody_declared_is_shown_and_only_bluestones_own_is_removed(machine: Machine) -> None:
    machine.set("count = 3", "count = 1")
    text = machine.declaration.read_text()
    machine.declaration.write_text(f"{text}\n[servers.worker]\ncount = 1\n")
    machine.run("up")
    web, worker = sorted(names(machine))
    machine.declaration.write_text(text)
    podman("exec", container(machine, web), "true")
    assert "podman exec" in machine.run("drift", "--replace")
    assert worker in names(machine), "a change of the file that nobody rolled out is not begun by healing"
    assert web not in names(machine)
    labels = json.loads(podman("inspect", "--format", "{{json .Config.Labels}}", container(machine, worker)))
    marks = {**labels, "bluestone.server": "worker-9-00000000-9", "bluestone.incarnation": "9"}
    options = [word for name, value in marks.items() for word in ("--label", f"{name}={value}")]
    network = ["--network", f"bluestone-{machine.project}"]
    with (
        made_by_somebody(machine, "impostor", *options) as impostor,
        made_by_somebody(machine, "neighbour", *network) as neighbour,
    ):
        strays = {stray["name"]: stray["kind"] for stray in drift(machine)["strays"]}
        assert strays == {worker: "left", "worker-9-00000000-9": "unknown", neighbour: "bystander"}
        assert f"nobody declared {neighbour}" in machine.run("status")
        assert f"removed: {worker}" in machine.run("drift", "--remove-strays")
        assert worker not in podman("ps", "--all", "--format", "{{.Names}}")
        assert "nothing to do" in machine.run("up"), "what is not bluestone's is led nowhere"
        assert {impostor, neighbour} <= set(podman("ps", "--format", "{{.Names}}").split())
