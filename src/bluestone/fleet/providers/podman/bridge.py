"""Keeps the MAC of a network's bridge the same.

By itself a Linux bridge takes the lowest MAC among its ports, so it changes as servers come and go. Those that
stay go on sending to the MAC that is gone until this machine next asks for theirs: at once when it sends them
requests, but a server that only sends is cut off meanwhile. A MAC that somebody set stays
(`br_stp_recalculate_bridge_id` in the kernel's net/bridge/br_stp_if.c). Newer netavark (1.14) sets one as it makes the
bridge, which goes with the last server: nobody is left then who knows it.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path

from bluestone.fleet.providers.podman.addresses import Network, mac_of
from bluestone.model.problem import Problem

NET_ADDR_SET = "3"
"""`addr_assign_type` of an interface whose address was set (linux/netdevice.h)."""

SIOCSIFHWADDR = 0x8924
ARPHRD_ETHER = 1


def pin(network: Network) -> None:
    """Set the bridge's MAC unless somebody did, or the bridge is not there (no server runs). Needs root.

    Raises `Problem` when the kernel refuses.
    """
    kind = Path("/sys/class/net", network.bridge, "addr_assign_type")
    try:
        if kind.read_text().strip() == NET_ADDR_SET:
            return
        mac = bytes.fromhex(mac_of(network.gateway).replace(":", ""))
        request = struct.pack("16sH6s8x", network.bridge.encode(), ARPHRD_ETHER, mac)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFHWADDR, request)
    except OSError as error:
        if not kind.exists():
            return
        raise Problem(
            f"cannot set the MAC of the bridge {network.bridge}: {error.strerror}",
            mend="run bluestone as root with CAP_NET_ADMIN, or as an ordinary user (rootless)",
        ) from error
