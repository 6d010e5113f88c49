"""Servers in podman's words, and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.fleet.providers.podman.labels import (
    PHASES,
    State,
    address_of,
    decode,
    how_it_ended,
    labels,
    read_containers,
    read_ends,
)
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.ids import NAME, Digest
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint, Server, ServerSpec

IMAGE = Digest("sha256:" + "1f3a9c0d" * 8)
SPEC = ServerSpec("shop", 2, 17, Generation("web", 3, IMAGE, ServerConfig("podman", (80, 443))))
ADDRESS = IPv4Address("10.89.0.7")


def container(**changes: object) -> dict[str, object]:
    """An entry as podman 4.3 prints it, less what bluestone does not read."""
    return {
        "Id": "0226ec6c",
        "Names": ["bluestone-shop.web-2-1f3a9c0d-17"],
        "Labels": labels(SPEC, ADDRESS),
        "State": "running",
        "ExitCode": 0,
        "Created": 1795469111,
        "Ports": None,
        **changes,
    }


def read(**changes: object) -> Server:
    (server,) = read_containers(decode(json.dumps([container(**changes)]))).values()
    return server


def test_what_is_written_on_a_container_is_read_again() -> None:
    assert read() == Server(
        name="web-2-1f3a9c0d-17",
        group="web",
        slot=2,
        incarnation=17,
        generation=3,
        image=IMAGE,
        config=SPEC.generation.config.digest(),
        phase="running",
        created_at=datetime.fromtimestamp(1795469111, UTC),
        endpoint=Endpoint("10.89.0.7", {80: 80, 443: 443}),
    )
    assert address_of(read()) == ADDRESS


@given(
    group=st.from_regex(NAME, fullmatch=True).filter(lambda name: len(name) <= 24),
    slot=st.integers(0, 10_000),
    incarnation=st.integers(1, 10**9),
    number=st.integers(1, 10**6),
    ports=st.lists(st.integers(1, 65535), unique=True, max_size=5),
)
def test_every_server_comes_back_as_it_was_written(
    group: str, slot: int, incarnation: int, number: int, ports: list[int]
) -> None:
    config = ServerConfig("podman", tuple(ports))
    spec = ServerSpec("shop", slot, incarnation, Generation(group, number, IMAGE, config))
    server = read(Labels=labels(spec, ADDRESS))
    assert (server.name, server.group, server.slot) == (spec.name, group, slot)
    assert (server.incarnation, server.generation) == (incarnation, number)
    assert server.config == config.digest()
    assert server.endpoint == Endpoint(str(ADDRESS), {port: port for port in ports})


@pytest.mark.parametrize(("state", "phase"), PHASES.items())
def test_every_state_of_podman_has_its_phase(state: str, phase: str) -> None:
    assert read(State=state).phase == phase


def test_ports_that_are_published_stand_for_those_of_the_server() -> None:
    address = IPv4Address("127.64.3.2")
    config = ServerConfig("podman", (80, 81, 443))
    spec = ServerSpec("shop", 2, 17, Generation("web", 3, IMAGE, config))
    ports = [
        {"host_ip": "127.64.3.2", "container_port": 80, "host_port": 28080, "range": 2, "protocol": "tcp"},
        {"host_ip": "127.64.3.2", "container_port": 443, "host_port": 28082, "range": 1, "protocol": "tcp"},
    ]
    server = read(Labels=labels(spec, address), Ports=ports)
    assert server.endpoint == Endpoint("127.64.3.2", {80: 28080, 81: 28081, 443: 28082})
    assert address_of(server) == address


def test_the_dead_say_how_they_ended_and_the_living_do_not() -> None:
    assert read(State="exited", ExitCode=137).detail.startswith("its init was killed (status 137)")
    assert read(State="exited", ExitCode=255).detail == "its init ended with status 255"
    assert read(State="running", ExitCode=137).detail == ""


def test_an_end_names_memory_and_podmans_own_error() -> None:
    line = '["bluestone-shop.a", {"ExitCode": 137, "OOMKilled": true, "Error": ""}]'
    assert read_ends(line + "\n") == {"bluestone-shop.a": "it ran out of memory (status 137)"}
    assert how_it_ended(State(error="no such file: /sbin/init")) == "no such file: /sbin/init"
    assert how_it_ended(State(exit_code=255)) == "its init ended with status 255"


def test_no_containers_is_an_empty_list() -> None:
    assert read_containers(decode("[]\n")) == {}


@pytest.mark.parametrize("text", ["", "\n", "null", "{}"])
def test_no_answer_is_not_an_empty_list(text: str) -> None:
    with pytest.raises(Problem, match="cannot be understood"):
        read_containers(decode(text))


@pytest.mark.parametrize(
    "change",
    [
        {"State": "unknown"},
        {"Labels": {"bluestone.project": "shop"}},
        {"Labels": {**labels(SPEC, ADDRESS), "bluestone.slot": "two"}},
        {"Labels": {**labels(SPEC, ADDRESS), "bluestone.address": "nowhere"}},
        {"Labels": {**labels(SPEC, ADDRESS), "bluestone.ports": "http"}},
        {"Names": []},
        {"Created": "yesterday"},
    ],
)
def test_what_cannot_be_understood_is_a_problem_and_no_part_of_a_list(change: dict[str, object]) -> None:
    with pytest.raises(Problem):
        read_containers(decode(json.dumps([container(), container(**change)])))


@given(st.integers(0, 200))
def test_a_list_that_is_cut_short_is_a_problem(kept: int) -> None:
    whole = json.dumps([container(), container()])
    cut = whole[: 1 + kept * (len(whole) - 2) // 200]
    with pytest.raises(Problem, match="cannot be understood"):
        read_containers(decode(cut))


def test_a_malformed_end_is_a_problem() -> None:
    with pytest.raises(Problem, match="cannot be understood"):
        read_ends('["bluestone-shop.a", {"ExitCode": "many"}]')
