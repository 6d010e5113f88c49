"""The podman provider's own promises, on real containers (what every provider promises is in conformance)."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bluestone.fleet.providers.podman import commands
from bluestone.fleet.providers.podman.commands import CAPABILITIES
from bluestone.fleet.providers.podman.runtime import choose_runtime, this_machine
from bluestone.model.problem import MissingTool, Problem
from bluestone.model.server import Server
from podman_site import Site, mounts, podman, server_root, site, spec, status_of, wait_for

__all__ = ["server_root"]

pytestmark = pytest.mark.e2e

GRACE = timedelta(seconds=10)
NAME = "web-0-1f3a9c0d-1"


@pytest.fixture
def here(server_root: Path) -> Iterator[Site]:
    with site(server_root) as one:
        one.provider.prepare()
        yield one


def the_server(here: Site, name: str = NAME) -> Server:
    (server,) = [server for server in here.provider.list_servers() if server.name == name]
    return server


def wait_until_booted(here: Site, name: str = NAME) -> None:
    wait_for(lambda: status_of(the_server(here, name).endpoint) == 200, f"{name} to answer")


def test_nothing_on_a_server_can_be_changed(here: Site) -> None:
    here.provider.create(spec(here.project))
    wait_until_booted(here)
    for path in ("/etc/new", "/usr/bin/new", "/var/lib/new", "/run/bluestone/new", "/run/bluestone-log/new"):
        done = subprocess.run(
            ["podman", "exec", here.container(NAME), "touch", path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Read-only file system" in done.stderr, path
    assert not list(here.root.rglob("new"))


def test_nobody_can_log_in_and_little_is_allowed(here: Site) -> None:
    here.provider.create(spec(here.project))
    wait_until_booted(here)
    programs = here.on_server(NAME, "sh", "-c", "cat /proc/[0-9]*/comm").split()
    assert "systemd" in programs
    assert not {"agetty", "login", "sshd"} & set(programs)
    status = here.on_server(NAME, "cat", "/proc/1/status")
    assert "NoNewPrivs:\t1" in status
    (bounding,) = re.findall(r"CapBnd:\t([0-9a-f]+)", status)
    assert int(bounding, 16).bit_count() == len(CAPABILITIES)


def test_systemd_and_its_journal_are_well(here: Site) -> None:
    here.provider.create(spec(here.project))
    wait_until_booted(here)
    wait_for(lambda: "running" in here.on_server(NAME, "sh", "-c", "systemctl is-system-running; :"), "systemd")
    assert here.on_server(NAME, "hostname").strip() == NAME
    assert here.on_server(NAME, "journalctl", "--unit", "nginx", "--output", "cat") != ""


def test_secrets_are_on_the_server_for_root_and_nowhere_else(here: Site) -> None:
    asked = spec(here.project, bootfiles={"secrets/password": b"hunter2-unlikely"})
    here.provider.create(asked)
    path = "/run/bluestone/secrets/password"
    assert here.on_server(NAME, "cat", path) == "hunter2-unlikely"
    as_daemon = ["podman", "exec", "--user", "www-data", here.container(NAME), "cat", path]
    done = subprocess.run(as_daemon, capture_output=True, text=True, check=False)
    assert "Permission denied" in done.stderr
    assert "hunter2" not in podman("inspect", here.container(NAME))
    assert "hunter2" not in podman("ps", "--all", "--format", "json")


SAY_HELLO = """
import socket
receiver = socket.socket(socket.AF_UNIX)
receiver.connect("/run/bluestone-log/ingest.sock")
receiver.sendall(b"hello")
"""


def test_the_log_socket_is_reached_even_when_it_is_a_new_one(here: Site) -> None:
    here.provider.create(spec(here.project))
    for _ in range(2):
        path = here.log_directory / "ingest.sock"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as receiver:
            receiver.bind(str(path))
            receiver.listen()
            receiver.settimeout(10)
            here.on_server(NAME, "python3", "-c", SAY_HELLO)
            connection, _ = receiver.accept()
            with connection:
                assert connection.recv(16) == b"hello"


def test_the_console_tells_why_a_service_failed(here: Site) -> None:
    asked = spec(here.project)
    # Without its directory nginx cannot start.
    here.provider.create(type(asked)(asked.project, 0, 1, asked.generation, writable=("/etc/nginx",)))
    here.on_server(NAME, "sh", "-c", "rm -r /etc/nginx/*; systemctl restart nginx || :")
    wait_for(lambda: any("nginx.service" in line for line in here.provider.console(NAME, 20)), "a line about nginx")
    assert not any("\x1b" in line or "\r" in line for line in here.provider.console(NAME, 20))


def bridge(here: Site) -> Path:
    (network,) = json.loads(podman("network", "inspect", f"bluestone-{here.project}"))
    return Path("/sys/class/net", str(network["network_interface"]))


def test_macs_stay_as_servers_come_and_go(here: Site) -> None:
    if os.geteuid() != 0:
        pytest.skip("machine: servers of an ordinary user are on the loopback, which has no MAC")
    here.provider.create(spec(here.project, 0, 1))
    mac = (bridge(here) / "address").read_text()
    own = here.on_server(NAME, "cat", "/sys/class/net/eth0/address")
    for slot in (1, 2, 3):
        here.provider.create(spec(here.project, slot, slot + 1))
        assert (bridge(here) / "address").read_text() == mac
    for server in here.provider.list_servers():
        here.provider.destroy(server.name, timedelta(0))
    # With the last server its bridge goes; the next may have another MAC, as nobody is left who knows the old one.
    here.provider.create(spec(here.project, 0, 9))
    again = "web-0-1f3a9c0d-9"
    assert here.on_server(again, "cat", "/sys/class/net/eth0/address") == own
    wait_until_booted(here, again)


def test_a_server_that_does_not_stop_is_ended_after_its_grace(here: Site) -> None:
    here.provider.create(spec(here.project))
    init = int(podman("inspect", "--format", "{{.State.Pid}}", here.container(NAME)))
    os.kill(init, signal.SIGSTOP)
    here.provider.destroy(NAME, timedelta(seconds=1))
    assert here.provider.list_servers() == []
    assert not Path(f"/proc/{init}").exists()


def test_a_server_that_ran_out_of_memory_says_so(here: Site) -> None:
    if not choose_runtime(this_machine()).limits:
        with pytest.raises(Problem, match="limits of memory"):
            here.provider.create(spec(here.project, memory=48 << 20))
        return
    here.provider.create(spec(here.project, memory=48 << 20))
    init = int(podman("inspect", "--format", "{{.State.Pid}}", here.container(NAME)))
    # Else whom the kernel takes is its choice: it may be content with those who fill the memory.
    Path(f"/proc/{init}/oom_score_adj").write_text("1000")
    fill = "for d in /tmp /var/tmp; do head -c 60000000 /dev/zero > $d/fill; done"
    with subprocess.Popen(["podman", "exec", here.container(NAME), "sh", "-c", fill], stderr=subprocess.DEVNULL):
        wait_for(lambda: the_server(here).phase == "dead", "the kernel to take the init")
    assert "memory" in the_server(here).detail


def test_iptables_that_is_missing_is_named(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0 or "podman version 4" not in podman("--version"):
        pytest.skip("machine: only podman 4 as root needs iptables")
    tools = here.directory / "tools"
    tools.mkdir()
    for directory in os.environ["PATH"].split(":"):
        for tool in Path(directory).glob("*"):
            link = tools / tool.name
            if "tables" not in tool.name and not link.is_symlink():
                link.symlink_to(tool)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(MissingTool, match="iptables"):
        here.provider.create(spec(here.project))
    monkeypatch.undo()
    here.provider.create(spec(here.project))
    assert the_server(here).phase == "running"


CREATE = """
import sys
from datetime import timedelta
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from bluestone.fleet.providers.podman import Podman
from podman_site import spec
project, root, directory, _ = sys.argv[1:]
provider = Podman(project, lambda _: Path(root), Path(directory) / project, Path(directory) / "logs")
provider.create(spec(project))
"""


@pytest.mark.parametrize("after", [0.0, 0.08, 0.15, 0.25, 0.4])
def test_a_create_that_is_killed_is_finished_or_destroyed_by_the_next(here: Site, after: float) -> None:
    kept = here.directory / here.project
    arguments = [here.project, str(here.root), str(here.directory), str(Path(__file__).parents[1])]
    process = subprocess.Popen([sys.executable, "-c", CREATE, *arguments])
    # From when it holds the lock: only then has it begun anything.
    wait_for(lambda: any(path.is_dir() for path in kept.glob("*")) or process.poll() is not None, "its first step")
    time.sleep(after)
    process.kill()
    process.wait()
    # podman itself was not killed and may still be at work.
    wait_for(lambda: not podman_at_work(here), "podman to end")
    assert {server.phase for server in here.provider.list_servers()} <= {"creating", "running"}
    here.provider.create(spec(here.project))
    wait_until_booted(here)
    here.provider.destroy(NAME, GRACE)
    assert here.provider.list_servers() == []


def podman_at_work(here: Site) -> bool:
    """Whether a podman command (not a container's monitor) concerns this site."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if Path(words[0]).name == "podman" and any(here.project in word for word in words):
            return True
    return False


def test_a_server_that_was_never_started_is_listed_and_can_be_destroyed(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = commands.launch
    monkeypatch.setattr(commands, "launch", lambda *given: ["podman", "create", *launch(*given)[3:]])
    here.provider.create(spec(here.project))
    assert the_server(here).phase == "creating"
    here.provider.destroy(NAME, GRACE)
    assert here.provider.list_servers() == []


def test_nothing_of_a_server_is_left_behind(here: Site) -> None:
    here.provider.create(spec(here.project))
    inspected = json.loads(podman("inspect", here.container(NAME)))[0]
    assert inspected["Id"] in mounts()
    here.provider.destroy(NAME, GRACE)
    assert inspected["Id"] not in mounts()
    wait_for(lambda: not Path(f"/proc/{inspected['State']['ConmonPid']}").exists(), "its monitor to end")
    assert not Path(inspected["StaticDir"]).parent.exists()
    assert not Path(inspected["ConmonPidFile"]).parents[1].exists()
    assert not (here.directory / here.project / NAME).exists()
    here.provider.clear()
    assert not (here.directory / here.project).exists()
