"""Who may act on a project now: one process on this machine at a time.

A lock of the kernel (flock(2)) on an open file: it ends with its holder, however that ends. The file's text
says who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from bluestone.model.problem import Problem

MAX_TEXT = 4096
"""Bytes of the file's text that are read."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock while the block runs. Raises `Problem`, naming the holder, if somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as busy:
        holder = _holder(os.read(descriptor, MAX_TEXT).decode(errors="replace"))
        os.close(descriptor)
        raise Problem(
            f"another bluestone acts on this project: {holder}",
            mend="wait until it has ended, or end it: running this again then finishes what it began",
        ) from busy
    try:
        # On a full disk the name is missing; the lock holds all the same.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _introduction().encode(), 0)
        yield
    finally:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _introduction() -> str:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "user": os.getuid(), "command": command[:200], "since": since})


def _holder(text: str) -> str:
    try:
        who = json.loads(text)
        return f"process {who['pid']} (`{who['command']}`), user id {who['user']}, since {who['since']}"
    except (ValueError, KeyError):
        return "a process that has only just begun"
