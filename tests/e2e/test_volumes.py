"""Servers whose data outlives them, on real podman and HAProxy."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.load import Load
from machine import Machine, until
from test_serve import daemon

pytestmark = pytest.mark.e2e

VISITORS = """\
[servers.web.volumes]
data = { path = "/srv/data", owner = "www-data" }

"""
UNIT = """
"/etc/systemd/system/visit.service" = { content = '''
[Unit]
Before=nginx.service
[Service]
Type=oneshot
User=www-data
ExecStart=sh -c '(cat /etc/hostname; echo) >> /srv/data/visitors'
[Install]
WantedBy=multi-user.target
''' }
"""


@pytest.fixture
def keeper(machine: Machine) -> Iterator[Machine]:
    """One server at a time, which writes its name to its volume when it boots."""
    machine.set("count = 3", "count = 1")
    machine.set('strategy = "blue-green"', 'strategy = "destroy-first"')
    machine.set("[servers.web.rollout]", VISITORS + "[servers.web.rollout]")
    machine.set('units = ["nginx.service"]', 'units = ["nginx.service", "visit.service"]')
    machine.set('"/var/www/site" = "site"', '"/var/www/site" = "site"' + UNIT.rstrip())
    try:
        yield machine
    finally:
        machine.run("down")
        if names := [volume["name"] for volume in json.loads(machine.run("volumes", "--json"))]:
            machine.run("volumes", "rm", "--yes", *names)


def visitors(machine: Machine) -> list[str]:
    (server,) = machine.servers()
    container = f"bluestone-{machine.project}.{server['name']}"
    done = subprocess.run(["podman", "exec", container, "cat", "/srv/data/visitors"], capture_output=True, text=True)
    return done.stdout.split()


def written(machine: Machine) -> list[str]:
    """The visitors, as the volume's file has them: entering a server would have it replaced."""
    volume = f"bluestone-{machine.project}.web-1.data"
    place = ["podman", "volume", "inspect", "--format", "{{.Mountpoint}}", volume]
    shown = subprocess.run(place, capture_output=True, text=True).stdout.strip()
    file = Path(shown) / "visitors"
    return file.read_text().split() if shown and file.exists() else []


def holders(machine: Machine) -> list[str]:
    """The containers that have the volume, whatever their state, in podman's own words."""
    volume = f"volume=bluestone-{machine.project}.web-1.data"
    shown = subprocess.run(
        ["podman", "ps", "--all", "--filter", volume, "--format", "{{.Names}}"], capture_output=True, text=True
    )
    return shown.stdout.split()


def test_data_outlives_its_servers_and_no_request_fails(keeper: Machine) -> None:
    keeper.run("up")
    (first,) = visitors(keeper)
    keeper.page("second")
    keeper.run("build")
    with Load(keeper.url, connections=8, rate=100.0) as load:
        time.sleep(0.3)
        keeper.run("up")
        time.sleep(0.3)
        report = load.stop()
    assert report.failed == 0, report.line()
    assert "second" in keeper.get()
    names = visitors(keeper)
    assert names[0] == first
    assert len(set(names)) == 2

    keeper.page("third")
    keeper.run("build")
    process = keeper.popen("up")
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(holders(keeper)) <= 1
    keeper.run("up")
    assert "third" in keeper.get()
    assert len(holders(keeper)) == 1
    names = visitors(keeper)
    assert names[0] == first
    assert len(set(names)) == len(names), "each server visits once"

    (volume,) = json.loads(keeper.run("volumes", "--json"))
    assert (volume["name"], volume["slot"], volume["server"]) == ("web-1.data", 1, names[-1])
    refused = keeper.run("volumes", "rm", "--yes", "web-1.data", expect=1)
    assert f"is on {names[-1]}" in refused
    said = keeper.run("down")
    assert re.search(r"the volumes web-1\.data", said)
    assert "web-1.data" in keeper.run("volumes")
    assert 'no volume is called "web-7.data"' in keeper.run("volumes", "rm", "--yes", "web-7.data", expect=1)
    keeper.run("volumes", "rm", "--yes", "web-1.data")
    assert json.loads(keeper.run("volumes", "--json")) == []


def test_while_its_server_sleeps_a_volume_is_a_snapshot(keeper: Machine) -> None:
    keeper.set('owner = "www-data" }', 'owner = "www-data", asleep = "snapshot" }')
    day = datetime.now(UTC) + timedelta(days=180)
    keeper.declaration.write_text(
        f'{keeper.declaration.read_text()}\n[servers.web.hours]\nopen = "{day:%b %d} 03:00-04:00"\n'
    )

    def volume() -> dict[str, Any]:
        (found,) = json.loads(keeper.run("volumes", "--json"))
        return dict(found)

    with daemon(keeper):
        keeper.run("up")
        keeper.run("keep", "up", "web", "until", "60m")
        until(lambda: len(written(keeper)) == 1, "the first has come", 30)
        (first,) = written(keeper)
        keeper.run("keep", "hours")
        until(lambda: volume()["snapshot"] is not None, "its data is put away", 30)
        assert "asleep: snapshot of" in keeper.run("volumes")
        assert holders(keeper) == []
        keeper.run("keep", "up", "web", "until", "60m")
        until(lambda: len(written(keeper)) == 2, "the second has come", 30)
        assert written(keeper)[0] == first, "with the data of the first"
        assert (volume()["snapshot"], volume()["server"]) == (None, written(keeper)[1])
        assert "its snapshot takes" in keeper.run("events", "-n", "200")


def test_what_no_server_could_have_is_known_before_the_old_one_goes(keeper: Machine) -> None:
    keeper.run("up")
    before = keeper.servers()
    keeper.set('owner = "www-data"', 'owner = "nobody-there"')
    assert "the image has no such user" in keeper.run("up", expect=1)
    assert keeper.servers() == before
