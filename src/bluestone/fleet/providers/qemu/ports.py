"""Which ports of this machine's loopback stand for a server's own."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Collection

from bluestone.model.problem import Problem

FIRST, COUNT = 20_000, 12_000
"""Below the range that Linux hands out by itself (ip_local_port_range begins at 32768)."""


def can_listen(port: int) -> bool:
    """Whether nobody listens on this port of the loopback."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
            attempt.listen(1)
        except OSError:
            return False
    return True


def choose_ports(
    slot: str, ports: Collection[int], taken: Collection[int], is_free: Callable[[int], bool] = can_listen
) -> dict[int, int]:
    """For each of a server's ports the slot's own port here or, if that is taken, the next one that is free.

    `slot` names the slot among all of this machine. Its own port is a hash of that, so that nothing has to be
    remembered and the next server of the slot is reached where the last one was. Raises `Problem` when none is free.
    """
    chosen: dict[int, int] = {}
    for port in sorted(ports):
        digest = hashlib.blake2b(f"{slot}/{port}".encode(), digest_size=8).digest()
        first = int.from_bytes(digest)
        used = {*taken, *chosen.values()}
        candidates = (FIRST + (first + step) % COUNT for step in range(COUNT))
        found = next((each for each in candidates if each not in used and is_free(each)), None)
        if found is None:
            raise Problem(
                f"no port of this machine is left between {FIRST} and {FIRST + COUNT - 1}",
                mend="declare fewer servers",
            )
        chosen[port] = found
    return chosen
