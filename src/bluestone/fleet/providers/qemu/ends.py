"""Tells at once when a virtual machine's process ends."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bluestone.host.daemons import running
from bluestone.model.problem import Problem

LOOK = 0.5
"""Seconds between two looks for machines that were started since."""


def follow(run_directory: Path, heard: Callable[[], None], ended: threading.Event) -> None:
    """Call `heard` whenever a machine's process ends, from the thread that calls this, until `ended` is set.

    The kernel tells by a descriptor of the process (pidfd_open(2)). Raises `Problem` where it has none.
    """
    watched: dict[int, int] = {}  # process id -> descriptor
    poll = select.poll()
    try:
        while not ended.is_set():
            for machine in sorted(run_directory.glob("*/pid")):
                pid = running(machine)
                if pid is not None and pid not in watched and (descriptor := _open(pid)) is not None:
                    watched[pid] = descriptor
                    poll.register(descriptor, select.POLLIN)
            gone = {descriptor for descriptor, _ in poll.poll(LOOK * 1000)}
            for pid in [pid for pid, descriptor in watched.items() if descriptor in gone]:
                poll.unregister(watched[pid])
                os.close(watched.pop(pid))
                heard()
    finally:
        for descriptor in watched.values():
            os.close(descriptor)


def _open(pid: int) -> int | None:
    """A descriptor of a process; None if it has just ended."""
    with suppress(ProcessLookupError):
        try:
            return os.pidfd_open(pid)
        except OSError as error:
            if isinstance(error, ProcessLookupError):
                raise
            raise Problem(f"the kernel does not tell when a process ends: {error.strerror}") from error
    return None
