"""A bad image among the servers: found out by its answers, and left by itself. And: hands off."""

from __future__ import annotations

import json

import pytest

from machine import Machine
from visitors import Visitors

pytestmark = pytest.mark.e2e


def test_a_canary_that_answers_500_is_found_out_and_the_group_goes_back(machine: Machine) -> None:
    machine.set('strategy = "blue-green"', 'strategy = "rolling"\ncanary = 1\nbake = "30s"')
    machine.run("up")
    before = {str(server["name"]) for server in machine.servers()}
    site = machine.directory / "nginx-site.conf"
    site.write_text(
        site.read_text().replace("location = /health", "location = / { return 500; }\n    location = /health")
    )
    machine.run("build")
    with Visitors(machine) as visitors:
        said = machine.run("up", expect=1)
    assert "the canaries fail" in said
    assert "back at generation 1" in said
    assert {str(server["name"]) for server in machine.servers()} == before, "no old server had to go"
    failed, total = visitors.statuses[500], visitors.statuses.total()
    assert set(visitors.statuses) == {200, 500}
    assert failed <= total / 4 + 2, f"more than the canary's share: {visitors.statuses}"

    again = machine.run("up", expect=1)
    assert "generation 2 failed" in again
    assert {str(server["name"]) for server in machine.servers()} == before, "what failed is not tried again"


def test_nothing_is_done_while_paused(machine: Machine) -> None:
    machine.run("up")
    before = {str(server["name"]) for server in machine.servers()}
    machine.page("not now")
    machine.run("pause", "--why", "an exam is on")
    said = machine.run("up", expect=1)
    assert "an exam is on" in said
    assert {str(server["name"]) for server in machine.servers()} == before
    assert "no group is called" in machine.run("resume", "wbe", expect=1)
    machine.run("resume")
    machine.run("up")
    assert "not now" in machine.get()
    kinds = [json.loads(line)["kind"] for line in machine.run("events", "--json").splitlines()]
    assert kinds.index("fleet.paused") < kinds.index("fleet.resumed")
