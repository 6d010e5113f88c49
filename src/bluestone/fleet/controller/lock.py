"""Who may act on a project now: one process on this machine at a time.

A lock of the kernel (flock(2)) on an open file: it ends with its holder, however that ends. The file's text
says who holds it.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bluestone.fleet.controller.lease import Holder
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
        holder = _holder(os.read(descriptor, MAX_TEXT))
        os.close(descriptor)
        raise Problem(
            f"another bluestone acts on this project: {holder}",
            mend="wait until it has ended, or end it: running this again then finishes what it began",
        ) from busy
    try:
        # On a full disk the name is missing; the lock holds all the same.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(introduce()), 0)
        yield
    finally:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def introduce(host: str = "") -> Holder:
    """This process, as a holder. `host` is this machine's own number (`Home.host`)."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    now = datetime.now(UTC).replace(microsecond=0)
    return Holder(secrets.token_hex(8), host, socket.gethostname(), os.getpid(), _user(), command, now)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return f"user id {os.getuid()}"


def _holder(text: bytes) -> str:
    try:
        return str(msgspec.json.decode(text, type=Holder))
    except msgspec.DecodeError:
        return "a process that has only just begun"
