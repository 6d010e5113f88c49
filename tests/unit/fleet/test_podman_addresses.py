"""Which address a slot gets."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.fleet.providers.podman.addresses import (
    FIRST_PORT,
    Network,
    choose_address,
    loopback,
    mac_of,
    published,
    read_network,
)
from bluestone.model.problem import Problem

NETWORK = Network("bluestone-shop", "podman1", IPv4Network("10.89.4.0/24"), IPv4Address("10.89.4.1"))
SMALL = Network("bluestone-shop", "podman1", IPv4Network("10.89.4.0/29"), IPv4Address("10.89.4.1"))
groups = st.sampled_from(["web", "api", "worker", "db"])


def test_a_slot_has_the_same_address_each_time() -> None:
    assert choose_address(NETWORK, "web", 5, []) == choose_address(NETWORK, "web", 5, [None])


@given(groups, st.integers(0, 10_000), st.sets(st.integers(1, 254), max_size=250))
def test_an_address_is_a_free_one_of_a_host(group: str, slot: int, numbers: set[int]) -> None:
    taken = {NETWORK.subnet[number] for number in numbers}
    address = choose_address(NETWORK, group, slot, taken)
    assert address in NETWORK.subnet
    assert address not in taken | {NETWORK.subnet[0], NETWORK.subnet[255], NETWORK.gateway}


@given(groups, st.integers(0, 10_000), st.sets(st.integers(1, 254), max_size=250))
def test_others_do_not_move_a_slot_unless_they_sit_in_its_place(group: str, slot: int, numbers: set[int]) -> None:
    own = choose_address(NETWORK, group, slot, [])
    taken = {NETWORK.subnet[number] for number in numbers} - {own}
    assert choose_address(NETWORK, group, slot, taken) == own


def test_every_address_is_used_before_there_is_none_left() -> None:
    taken: set[IPv4Address] = set()
    for slot in range(5):
        taken.add(choose_address(SMALL, "web", slot, taken))
    assert len(taken) == 5
    with pytest.raises(Problem, match=r"no address is left .*10\.89\.4\.0/29"):
        choose_address(SMALL, "web", 5, taken)


@given(groups, st.integers(0, 10_000))
def test_without_root_a_slot_has_an_address_on_the_loopback(group: str, slot: int) -> None:
    address = choose_address(loopback("shop", 1000), group, slot, [])
    assert address.is_loopback
    assert address not in IPv4Network("127.0.0.0/16"), "where others listen"


def test_two_users_may_have_projects_of_the_same_name() -> None:
    assert choose_address(loopback("shop", 1000), "web", 1, []) != choose_address(loopback("shop", 1001), "web", 1, [])


@given(st.lists(st.integers(1, 65535), unique=True, max_size=20))
def test_every_port_has_one_that_an_ordinary_user_may_listen_at(ports: list[int]) -> None:
    outside = published(ports)
    assert list(outside) == ports
    assert len(set(outside.values())) == len(ports)
    assert all(FIRST_PORT <= port < 32768 for port in outside.values()), "32768: the kernel's own begin"


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_an_address_has_one_mac_of_its_own(one: IPv4Address, other: IPv4Address) -> None:
    first = int(mac_of(one)[:2], 16)
    assert first & 0b10, "locally administered"
    assert not first & 0b01, "of one host, not of many"
    assert (mac_of(one) == mac_of(other)) == (one == other)


def network(**changes: object) -> str:
    subnets = [{"subnet": "10.89.4.0/24", "gateway": "10.89.4.1"}]
    return json.dumps([{"name": "bluestone-shop", "network_interface": "podman1", "subnets": subnets, **changes}])


def test_a_network_is_read() -> None:
    assert read_network(network()) == NETWORK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        network(subnets=[]),
        network(subnets=[{"subnet": "fd00::/64", "gateway": "fd00::1"}]),
        network(subnets=[{"subnet": "10.89.4.0/24"}]),
        network()[:-20],
    ],
)
def test_a_network_that_bluestone_cannot_use_is_a_problem(text: str) -> None:
    with pytest.raises(Problem, match="cannot be understood"):
        read_network(text)
