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


SHARED = ("packages", "stages", "locks")
"""What lanes share of an image store: what is costly to fetch and to install, and the locks of who builds it."""


def shared_cache() -> Path | None:
    """Where images are kept between tests, if anybody said: `$BLUESTONE_TEST_CACHE`.

    Tests that run in several lanes at once (pytest-xdist's workers) have images and projects of their own each: a test
    that looks at what a build left sees nobody else's. Packages and stages are made once for all.
    """
    cache = os.environ.get("BLUESTONE_TEST_CACHE")
    lane = os.environ.get("PYTEST_XDIST_WORKER")
    if not cache or not lane:
        return Path(cache) if cache else None
    own = Path(cache) / lane
    (own / "images").mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        shared = Path(cache) / "images" / name
        shared.mkdir(parents=True, mode=0o700, exist_ok=True)
        if not (own / "images" / name).is_symlink():
            (own / "images" / name).symlink_to(shared)
    return own
