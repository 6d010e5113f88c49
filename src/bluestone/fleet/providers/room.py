"""Whether this machine has room for a server, for the providers that run servers on it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bluestone.model.problem import NoRoom
from bluestone.model.server import ServerSpec

MEMINFO = Path("/proc/meminfo")

FULL = re.compile(r"no space left on device|cannot allocate memory|disk quota exceeded", re.IGNORECASE)
"""What programs say when the kernel answers ENOSPC, ENOMEM or EDQUOT."""


def require_room(spec: ServerSpec, meminfo: Path = MEMINFO) -> None:
    """Raise `NoRoom` for a size that this machine does not have now, where another one may be had.

    Where there is no choice a size is a limit only, which may well exceed what is free.
    """
    if spec.choice is None:
        return
    size = spec.resources
    processors = os.cpu_count() or 1
    if size.cpus is not None and size.cpus > processors:
        raise NoRoom(f"there is no room for {spec.name}: it wants {size.cpus:g} cpus, and there are {processors} here")
    if size.memory is not None and size.memory > (free := available(meminfo)):
        wanted, left = f"{size.memory / (1 << 20):.0f} MiB", f"{free / (1 << 20):.0f} MiB"
        raise NoRoom(f"there is no room for {spec.name}: it wants {wanted} of memory, and {left} are available here")


def available(meminfo: Path = MEMINFO) -> int:
    """Bytes of memory that programs can have without others being swapped out (`MemAvailable` of proc(5))."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def is_full(said: str) -> bool:
    """Whether a program that failed says that memory or a disk is full."""
    return FULL.search(said) is not None
