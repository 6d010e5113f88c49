"""Who of several may make servers of a project now: each waits for those before."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem


@contextmanager
def turn(base: Path, patience: float) -> Iterator[None]:
    """Hold the lock of the directory `base`, which is made if missing, once nobody else does.

    Raises `Problem` after `patience` seconds.
    """
    private_directory(base)
    descriptor = os.open(base / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, patience)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as busy:
            if time.monotonic() > until:
                raise Problem(
                    f"somebody else has been creating servers of this project for {patience:g} s",
                    mend="see whether another bluestone hangs: pgrep -af bluestone",
                ) from busy
            time.sleep(0.01)
