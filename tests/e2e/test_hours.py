"""A real fleet by the clock: asleep, woken by a person and by a browser, asleep again with its last log lines safe.

This machine has no room for the first of the sizes that its servers may have.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from machine import Machine, until
from test_serve import daemon
from web_browser import chromium, installed

pytestmark = pytest.mark.e2e

DAY = datetime.now(UTC) + timedelta(days=180)
CLOSED = f"""
[servers.web.hours]
open = "{DAY:%b %d} 03:00-04:00"
on_request = "page"
idle = "3s"

[cost]
prices = "prices.toml"
"""
SIZES = """count = 3
resources = { memory = "60TiB" }
fallback = [{ memory = "256MiB" }]
"""
PRICES = """
currency = "EUR"
dated = 2026-01-01
[[price]]
provider = "podman"
size = "huge"
hour = "90.00"
[[price]]
provider = "podman"
size = "small"
memory = "256MiB"
hour = "0.01"
"""


def events(machine: Machine) -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.run("events", "--json", "-n", "1000").splitlines()]


def of_kind(machine: Machine, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(machine) if event["kind"] == kind]


def wake_in_a_browser(machine: Machine) -> None:
    """A person opens the site, is shown that it starts, waits, and has it without doing anything."""
    with chromium() as browser:
        page = browser.new_page()
        answer = page.goto(machine.url)
        assert answer is not None
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert "starting" in page.content().lower()
        page.wait_for_function("() => document.body && document.body.innerText.includes('It works')", timeout=30_000)


def test_a_fleet_sleeps_and_wakes(machine: Machine) -> None:
    if installed() is None:
        pytest.skip("machine: chromium is not installed")
    machine.page("It works")
    machine.set("count = 3\n", SIZES)
    machine.declaration.write_text(machine.declaration.read_text() + CLOSED)
    Path(machine.directory, "prices.toml").write_text(PRICES)
    with daemon(machine):
        machine.run("up")
        assert machine.servers() == []
        # A request wakes the fleet, though nobody told the daemon; it sleeps again once nobody asks.
        wake_in_a_browser(machine)
        until(lambda: len(of_kind(machine, "server.destroyed")) == 3, "no request came for a while: asleep", 40)
        created = [event["server"] for event in of_kind(machine, "server.created")]
        assert len(created) == 3
        assert len(of_kind(machine, "hours.slept")) == 1
        # The first choice was told to be too large once for each, and the ledger has the price of the second.
        assert {event["data"]["memory"] for event in of_kind(machine, "server.create")} >= {256 << 20}
        lines = list(csv.DictReader(io.StringIO(machine.run("cost", "--format", "csv"))))
        assert {line["server"] for line in lines} == set(created)
        assert {line["price_of_an_hour"] for line in lines} == {"0.01"}
        assert "Stopped nginx.service" in machine.run("logs", created[0]), "its last log lines are safe"
        machine.run("keep", "up", "web", "until", "60m", "--because", "release")
        until(lambda: len(of_kind(machine, "server.attached")) == 6, "all three serve", 20)
        assert "release" in machine.run("hours", "list")
        machine.run("keep", "hours")
        until(lambda: machine.servers() == [], "asleep again", 30)
    assert not of_kind(machine, "server.died"), "all were drained and destroyed"
