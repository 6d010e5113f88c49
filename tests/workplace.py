"""What tests take of this machine without getting in each other's way, also when several run at once."""

from __future__ import annotations

import os
import random
import socket
from itertools import chain
from pathlib import Path

PORTS = range(10_000, 28_000)
"""Below those that the kernel gives to outgoing connections (32768), and those of rootless servers (28080)."""


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens, and that no connection will be given by chance."""
    start = random.choice(PORTS)
    for port in chain(range(start, PORTS.stop), range(PORTS.start, start)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port of {PORTS} is free")


def shared_cache() -> Path | None:
    """Where images are kept between tests, if anybody said: `$BLUESTONE_TEST_CACHE`."""
    cache = os.environ.get("BLUESTONE_TEST_CACHE")
    return Path(cache) if cache else None
