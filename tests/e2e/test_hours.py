"""A real fleet by the clock: asleep, woken by a person and by a request, asleep again with its last log lines safe."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from machine import Machine, until
from test_serve import daemon

pytestmark = pytest.mark.e2e

DAY = datetime.now(UTC) + timedelta(days=180)
CLOSED = f"""
[servers.web.hours]
open = "{DAY:%b %d} 03:00-04:00"
on_request = "page"
idle = "3s"
"""


def ask(machine: Machine) -> tuple[int, str]:
    """A request's status, and when it says to try again."""
    try:
        with urllib.request.urlopen(machine.url, timeout=5) as answer:
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        return error.code, str(error.headers.get("Retry-After", ""))


def events(machine: Machine) -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.run("events", "--json", "-n", "1000").splitlines()]


def of_kind(machine: Machine, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(machine) if event["kind"] == kind]


def test_a_fleet_sleeps_and_wakes(machine: Machine) -> None:
    machine.declaration.write_text(machine.declaration.read_text() + CLOSED)
    with daemon(machine):
        machine.run("up")
        assert machine.servers() == []
        assert ask(machine) == (503, "2"), "asleep: whoever comes is told to try again"
        # That request wakes the fleet, though nobody told the daemon; it sleeps again once nobody asks.
        until(lambda: ask(machine)[0] == 200, "it serves", 20)
        until(lambda: len(of_kind(machine, "server.destroyed")) == 3, "no request came for a while: asleep", 40)
        created = [event["server"] for event in of_kind(machine, "server.created")]
        assert len(created) == 3
        assert len(of_kind(machine, "hours.slept")) == 1
        assert "Stopped nginx.service" in machine.run("logs", created[0]), "its last log lines are safe"
        machine.run("keep", "up", "web", "until", "60m", "--because", "release")
        until(lambda: len(of_kind(machine, "server.attached")) == 6, "all three serve", 20)
        assert "release" in machine.run("hours", "list")
        machine.run("keep", "hours")
        until(lambda: machine.servers() == [], "asleep again", 30)
    assert not of_kind(machine, "server.died"), "all were drained and destroyed"
