"""The fault model of the provider in memory (its contract is in conformance)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem
from bluestone.model.server import ServerSpec
from bluestone.simulation.provider import Cloud, Fault, SimulatedProvider

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(seconds=10)
IMAGE = Digest("sha256:" + "1f3a9c0d" * 8)


def spec(slot: int = 0, incarnation: int = 1) -> ServerSpec:
    return ServerSpec("p", slot, incarnation, Generation("web", 1, IMAGE, ServerConfig("memory", (80,))))


def provider() -> SimulatedProvider:
    return SimulatedProvider("p", lambda: START)


@pytest.mark.parametrize(
    ("fault", "phases"),
    [("not-done", []), ("still-attached", []), ("lost-answer", ["running"]), ("half-done", ["creating"])],
)
def test_a_spoiled_create_raises_and_leaves_what_its_kind_says(fault: Fault, phases: list[str]) -> None:
    one = provider()
    one.fault("create", fault)
    with pytest.raises(Problem, match=fault):
        one.create(spec())
    assert [server.phase for server in one.list_servers()] == phases
    one.create(spec())
    assert [server.phase for server in one.list_servers()] == ["running"]


@pytest.mark.parametrize(
    ("fault", "phases"), [("not-done", ["running"]), ("lost-answer", []), ("half-done", ["stopping"])]
)
def test_a_spoiled_destroy_raises_and_leaves_what_its_kind_says(fault: Fault, phases: list[str]) -> None:
    one = provider()
    one.create(spec())
    one.fault("destroy", fault)
    with pytest.raises(Problem, match=fault):
        one.destroy(spec().name, GRACE)
    assert [server.phase for server in one.list_servers()] == phases
    one.destroy(spec().name, GRACE)
    assert one.list_servers() == []


def test_a_spoiled_list_raises_and_the_next_is_whole() -> None:
    one = provider()
    one.create(spec())
    one.fault("list", "not-done")
    with pytest.raises(Problem):
        one.list_servers()
    assert [server.name for server in one.list_servers()] == [spec().name]


def test_faults_come_in_the_order_in_which_they_were_asked_for() -> None:
    one = provider()
    one.fault("create", "not-done")
    one.fault("create", "half-done")
    for phases in ([], ["creating"]):
        with pytest.raises(Problem):
            one.create(spec())
        assert [server.phase for server in one.list_servers()] == phases


def test_a_create_that_is_finished_keeps_when_it_began() -> None:
    now = START
    one = SimulatedProvider("p", lambda: now)
    one.fault("create", "half-done")
    with pytest.raises(Problem):
        one.create(spec())
    now += timedelta(minutes=1)
    one.create(spec())
    one.create(spec(1, 2))
    assert [server.created_at for server in one.list_servers()] == [START, START + timedelta(minutes=1)]


def test_servers_outlive_the_provider_that_made_them() -> None:
    cloud = Cloud()
    SimulatedProvider("p", lambda: START, cloud).create(spec())
    assert [server.name for server in SimulatedProvider("p", lambda: START, cloud).list_servers()] == [spec().name]
