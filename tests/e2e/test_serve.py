"""A daemon that keeps real servers: through a person's commands, deaths of servers, and its own."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from machine import Machine, until
from workplace import free_port

pytestmark = pytest.mark.e2e


class Daemon:
    """`bluestone serve` of a machine's project."""

    def __init__(self, machine: Machine, *options: str) -> None:
        self._machine = machine
        self.port = free_port()
        self.log = machine.directory.parent / f"daemon-{self.port}.log"
        # It writes to a file: nobody reads a pipe of it while the test does something else.
        with self.log.open("w") as log:
            self.process = machine.popen("serve", "--listen", f"127.0.0.1:{self.port}", *options, stderr=log)
        until(self._ready, "the daemon is ready", 60)

    def ask(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """A figure, as Prometheus reads it."""
        found = [line for line in self.ask("/metrics").splitlines() if line.startswith(name + " ")]
        return float(found[0].split()[-1]) if found else float("nan")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=120)
        return self.process.returncode

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with suppress(OSError):
            return bool(json.loads(self.ask("/readyz"))["ready"])
        return False


@contextmanager
def daemon(machine: Machine) -> Iterator[Daemon]:
    # A look is due in ten minutes: what is seen before, something has told of.
    one = Daemon(machine, "--every", "10m")
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.end()


def begin_up(machine: Machine) -> subprocess.Popen[str]:
    """An `up` whose rollout has begun."""
    client = machine.popen("up")
    assert client.stdout is not None
    while "rollout started" not in (said := client.stdout.readline()):
        assert said, "it ended without a rollout"
    return client


def test_a_daemon_keeps_the_servers_whatever_becomes_of_them_and_of_itself(machine: Machine, tmp_path: Path) -> None:
    told = tmp_path / "told"
    machine.declaration.write_text(
        machine.declaration.read_text() + f'[servers.web.environment]\nSTAGE = "1"\n'
        f'[notify]\nevents = ["died", "finished"]\nexec = ["/bin/sh", "-c", "cat >> {told}; echo >> {told}"]\n'
    )
    assert "no daemon leads" in machine.run("status")
    with daemon(machine) as one:
        # Up, by the daemon: what a person sees is the same.
        said = machine.run("up")
        assert f"web on http://127.0.0.1:{machine.port}" in said
        assert said.count("attached") == 3
        assert "nothing to do" in machine.run("up")
        status = machine.run("status")
        assert f"process {one.process.pid}" in status
        assert "3/3" in status
        assert one.metric('bluestone_servers{group="web",stance="serving"}') == 3

        # A server that is killed is seen at once, and replaced.
        victim = str(machine.servers()[0]["name"])
        subprocess.run(
            ["podman", "kill", "-s", "KILL", f"bluestone-{machine.project}.{victim}"], check=True, capture_output=True
        )
        until(lambda: one.metric('bluestone_server_deaths_total{group="web"}') == 1, "podman tells of its death")
        until(lambda: one.metric('bluestone_servers{group="web",stance="serving"}') == 3, "it is replaced")
        assert victim not in {server["name"] for server in machine.servers()}
        until(lambda: told.exists() and victim in told.read_text(), "a person is told")

        # Killed itself in the middle of a rollout: servers serve on.
        machine.set('STAGE = "1"', 'STAGE = "2"')
        client = begin_up(machine)
        one.end(signal.SIGKILL)
        _, err = client.communicate(timeout=30)
        assert client.returncode == 1
        assert "the daemon has ended in the middle of it" in err
        assert "Unchanging over time" in machine.get()

    # The next one goes on without being asked, and tells what the first could not.
    with daemon(machine) as two:
        until(lambda: " finished " in machine.run("status"), "the rollout goes on", 60)
        assert {server["generation"] for server in machine.servers()} == {2}
        assert len(machine.servers()) == 3
        until(lambda: told.read_text().count("rollout.finished") >= 2, "told across the restart")

        # SIGTERM in the middle: what has begun is awaited, and it ends well.
        machine.set('STAGE = "2"', 'STAGE = "3"')
        client = begin_up(machine)
        assert two.end() == 0
        client.communicate(timeout=30)
        assert client.returncode == 1
        assert two.lines()[-1]["event"] == "daemon.ended"
    began = [json.loads(line) for line in machine.run("events", "--json", "-n", "100000").splitlines()]
    open_intents = {e["server"] for e in began if e["kind"] == "server.create"} - {
        e["server"] for e in began if e["kind"] in ("server.created", "action.failed", "action.refused", "action.lost")
    }
    assert not open_intents, "every create that was begun has its outcome"
    assert "<h1>" in machine.get()

    # Without a daemon the command line goes on by itself.
    machine.run("up")
    assert {server["generation"] for server in machine.servers()} == {3}
    assert "whole: " in machine.run("events", "--verify")
