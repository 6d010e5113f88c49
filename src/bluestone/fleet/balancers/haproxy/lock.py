"""One change to the balancer at a time, whichever thread or process makes it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bluestone.model.problem import Problem


@contextmanager
def exclusive(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock file; raise `Problem` if another holds it for longer than `patience` seconds.

    Whoever holds it may remove the file: one who waited for the removed file then waits for the new one.
    """
    end = time.monotonic() + patience
    while (descriptor := _try(path)) is None:
        if time.monotonic() > end:
            raise Problem(
                f"another bluestone has been changing the balancer for {patience:g} s",
                mend=f"wait for it; it holds {path}",
            )
        time.sleep(0.01)
    try:
        yield
    finally:
        os.close(descriptor)


def _try(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Problem(f"cannot open {path}: {error.strerror}", mend="make its directory writable") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
