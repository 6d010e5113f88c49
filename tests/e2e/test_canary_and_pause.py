"""A bad image among the servers: found out by its answers, and left by itself. And: hands off."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import Counter

import pytest

from machine import Machine

pytestmark = pytest.mark.e2e


class Visitors:
    """Ask for the page all the time, from two threads; count the statuses."""

    def __init__(self, machine: Machine) -> None:
        self.statuses: Counter[int] = Counter()
        self._machine = machine
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._visit) for _ in range(2)]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _visit(self) -> None:
        while not self._end.wait(0.005):
            try:
                with urllib.request.urlopen(self._machine.url, timeout=5) as answer:
                    self.statuses[answer.status] += 1
            except urllib.error.HTTPError as error:
                self.statuses[error.code] += 1


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
