"""The example project on podman, behind HAProxy, for the parts of this benchmark."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from bench.controller.bound import Bound
from bench.fleet import Bench


@contextmanager
def running(
    bound: Bound, name: str, strategies: Sequence[str], *, count: int = 3, volumes: str = ""
) -> Iterator[Bench]:
    """`count` servers, up, which have been led there by each of these strategies in turn: both images are built.

    Then the time of `bound` begins."""
    home = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    bench = Bench(home, name=f"bench-{name}", count=count, volumes=volumes, store=_store())
    try:
        for strategy in strategies:
            bench.prepare(strategy)
            bench.bluestone("up")
        bound.begin()
        yield bench
    finally:
        bench.bluestone("down", allowed=(0, 1))
        if volumes:
            bench.bluestone("volumes", "rm", "--yes", "web-1.data", allowed=(0, 1))
        shutil.rmtree(home)


def events(bench: Bench, newest: int) -> list[dict[str, Any]]:
    """The newest entries of the project's journal, in their order."""
    return [json.loads(line) for line in bench.bluestone("events", "--json", "-n", str(newest))[1].splitlines()]


def at(event: dict[str, Any]) -> float:
    """When an entry was written: seconds since the epoch."""
    return datetime.fromisoformat(event["at"]).timestamp()


@cache
def _store() -> Path:
    """One store for all parts: packages and images that one has are there for the next."""
    directory = Path(tempfile.mkdtemp(prefix="bs-bench-store-", dir="/var/tmp"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
