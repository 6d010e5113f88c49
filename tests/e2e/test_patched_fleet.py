"""From a fix in an archive to servers that have it, under load and through a kill, and the proof of it."""

from __future__ import annotations

import json
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_archive import SUITE, Archives, Deb, archives, key
from machine import Machine
from visitors import Visitors

pytestmark = pytest.mark.e2e

CVE, NEXT = "CVE-2026-4242", "CVE-2026-4243"
OLD = (Deb("leaky", "1.0-1"), Deb("other", "1.0-1"))
NEW = (Deb("leaky", "1.0-2"), Deb("other", "2.0-1"))
DROP_IN = """\
[Unit]
StartLimitIntervalSec=0
[Service]
Restart=on-failure
RestartSec=1
ExecStartPre=/bin/sh -c "echo leaky ate the cake; exit 1"
"""
WORSE = Deb("leaky", "1.0-3", files=(("/usr/lib/systemd/system/nginx.service.d/leaky.conf", DROP_IN),))
"""It mends something, and with it the web server does not start."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Archives]:
    with key() as signing, archives(tmp_path / "archives", signing) as made:
        made.publish("shop", "shop", OLD)
        yield made


def tracked(fixed: dict[str, str]) -> dict[str, object]:
    """What Debian's tracker says: CVE and version that mends it."""
    return {
        "leaky": {
            cve: {"releases": {SUITE: {"status": "resolved", "fixed_version": version, "urgency": "high"}}}
            for cve, version in fixed.items()
        }
    }


def lines(machine: Machine, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in machine.run(*arguments).splitlines() if line.startswith("{")]


def versions(machine: Machine) -> dict[str, str]:
    lock = tomllib.loads((machine.directory / "bluestone.lock").read_text())
    return {package["name"]: package["version"] for package in lock["package"]}


def until_killed(machine: Machine, at: str, *arguments: str) -> None:
    """Run a verb, and kill it once it has said something."""
    process = machine.popen(*arguments, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if at in line:
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait(60) == -signal.SIGKILL, said


def test_a_fix_reaches_every_server_and_is_proved(machine: Machine, site: Archives) -> None:
    archive = f'{{ uri = "{site.address}/shop", suite = "shop", key = "{site.key.keyring}" }}'
    machine.set(
        'packages = ["nginx-light"]', f'packages = ["nginx-light", "leaky", "other"]\narchives.shop = {archive}'
    )
    machine.set("count = 3", "count = 2")
    machine.set('progress = "60s"', 'progress = "20s"')  # So long a server that is not fit is waited for.
    (machine.directory / "tracker.json").write_text(json.dumps(tracked({CVE: "1.0-2"})))
    with machine.declaration.open("a") as declaration:
        declaration.write('\n[patch.feeds]\narchive = false\ndebian = "tracker.json"\n')
    machine.run("lock")
    machine.run("up")
    before = {str(server["name"]) for server in machine.servers()}
    held = versions(machine)

    site.publish("shop", "shop", NEW)
    with Visitors(machine) as visitors:
        until_killed(machine, "attached", "patch", CVE)
        said = machine.run("patch", CVE)
    assert set(visitors.statuses) == {200}, visitors.statuses
    assert "patch closed" in said
    now = machine.servers()
    assert len(now) == 2
    assert not before & {str(server["name"]) for server in now}
    changed = {name: version for name, version in versions(machine).items() if held[name] != version}
    assert changed == {"leaky": "1.0-2"}, "nothing but what the fix needs has moved"

    (found,) = json.loads(machine.run("proof", "list", "--json"))
    proof = found["proof"]
    assert [(each["fix"], CVE in each["advisories"]) for each in proof["ended"]] == [("deb:leaky 1.0-2", True)]
    assert {server["before"] for server in proof["servers"]} == before
    assert {server["after"] for server in proof["servers"]} == {server["name"] for server in now}
    assert all(server["switched"] <= server["gone"] for server in proof["servers"])
    file = machine.directory / "proof.json"
    file.write_bytes(Path(found["file"]).read_bytes())
    (machine.directory / "key.pem").write_text(machine.run("key"))
    machine.run("proof", "verify", "proof.json", "--key", "key.pem", "-f", "nowhere.toml")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert "proves nothing" in machine.run("proof", "verify", "proof.json", "--key", "key.pem", expect=1)

    a_fix_that_breaks_servers_reaches_none(machine, site)

    machine.run("rollback")
    events = [str(event["kind"]) for event in lines(machine, "events", "--json", "-n", "500")]
    assert "patch.reopened" in events
    assert events.count("patch.rehearsed") == 1, "one server was tried, before all others, and not again after the kill"


def a_fix_that_breaks_servers_reaches_none(machine: Machine, site: Archives) -> None:
    before, proofs = machine.servers(), machine.run("proof", "list", "--json")
    (machine.directory / "tracker.json").write_text(json.dumps(tracked({CVE: "1.0-2", NEXT: "1.0-3"})))
    site.publish("shop", "shop", (WORSE, *NEW[1:]))
    with Visitors(machine) as visitors:
        said = machine.run("patch", expect=1)
    assert set(visitors.statuses) == {200}, visitors.statuses
    assert "tried beside the fleet, did not become healthy: port 80" in said
    assert "leaky ate the cake" in said, "its last lines are shown"
    assert machine.servers() == before
    assert NEXT in machine.run("exposures", expect=2), "they are exposed still"
    assert machine.run("proof", "list", "--json") == proofs, "there is nothing to prove"
    kinds = [str(event["kind"]) for event in lines(machine, "events", "--json", "-n", "500")]
    assert kinds.count("patch.stopped") == 1
