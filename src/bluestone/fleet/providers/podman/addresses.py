"""Which address a slot gets, on a project's network or on the loopback. Pure.

An address that comes back with another MAC is out of reach for as long as its neighbours remember the old one
(30 s were measured), so the MAC follows from the address, and the address from the slot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network

import msgspec
from msgspec import Struct

from bluestone.model.problem import Problem

LOOPBACK = IPv4Network("127.64.0.0/10")
"""Where rootless servers are reached: all of 127.0.0.0/8 is this machine, and hardly anybody listens in here."""

FIRST_PORT = 28080
"""From here on up are a rootless server's ports: an ordinary user may listen here, and the kernel gives out none."""


class Network(Struct, frozen=True):
    """Where a project's servers have addresses: `bridge` is the name of its interface on this machine."""

    name: str
    bridge: str
    subnet: IPv4Network
    gateway: IPv4Address


class _Subnet(msgspec.Struct):
    subnet: str
    gateway: str


class _Network(msgspec.Struct):
    name: str
    network_interface: str
    subnets: list[_Subnet]


def read_network(text: str) -> Network:
    """The output of `podman network inspect` for one network. Raises `Problem`."""
    try:
        (network,) = msgspec.json.decode(text, type=list[_Network])
        (subnet,) = network.subnets
        return Network(network.name, network.network_interface, IPv4Network(subnet.subnet), IPv4Address(subnet.gateway))
    except (msgspec.DecodeError, ValueError) as error:
        raise Problem(
            f"podman's account of the project's network cannot be understood: {error}",
            mend="look at `podman network inspect`; it must have one IPv4 subnet, with a gateway",
        ) from error


def loopback(project: str, uid: int) -> Network:
    """The loopback as the network of an ordinary user's project; two users may have projects of one name."""
    return Network(f"{uid}-{project}", "lo", LOOPBACK, LOOPBACK[1])


def published(ports: Sequence[int]) -> dict[int, int]:
    """The port on the loopback that stands for each of a rootless server's own."""
    return {port: FIRST_PORT + place for place, port in enumerate(ports)}


def choose_address(network: Network, group: str, slot: int, taken: Collection[IPv4Address | None]) -> IPv4Address:
    """The slot's own address or, if that is taken, the next one that is free.

    The slot's own is a hash of its network, group and number, so that nothing has to be remembered. Raises
    `Problem` when none is free.
    """
    hosts = network.subnet.num_addresses - 2
    digest = hashlib.blake2b(f"{network.name}/{group}/{slot}".encode(), digest_size=8).digest()
    first = int.from_bytes(digest)
    for step in range(hosts):
        candidate = network.subnet[1 + (first + step) % hosts]
        if candidate != network.gateway and candidate not in taken:
            return candidate
    raise Problem(
        f"no address is left on the network {network.name} ({network.subnet})",
        mend="declare fewer servers, or divide them between two projects",
    )


def mac_of(address: IPv4Address) -> str:
    """The MAC that belongs to an address: locally administered (bit 1 of the first octet, IEEE 802)."""
    return ":".join(f"{octet:02x}" for octet in b"\x02\xb5" + address.packed)
