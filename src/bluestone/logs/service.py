"""The receiver as a child of bluestone: started when it is needed, left running, stopped with the project."""

from __future__ import annotations

import fcntl
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bluestone.host.daemons import Daemon
from bluestone.host.paths import socket_path
from bluestone.model.problem import Problem

START_TIMEOUT = 15.0
ANSWER_TIMEOUT = 2.0
STOP_GRACE = 12.0
"""Seconds; longer than the receiver gives the requests that it is answering."""


class Receiver:
    """One project's receiver over the log store in `store`; sockets and process id are kept under `run`."""

    def __init__(self, store: Path, run: Path) -> None:
        self._store = store
        self._run = run
        self.socket = run / "log" / "ingest.sock"
        """Where shippers connect. Its directory holds nothing else, and can be mounted into servers."""
        self._daemon = Daemon("the log receiver", run / "log-receiver.pid", run / "log-receiver.out")

    def ensure(self) -> None:
        """Have it run and answer. Cheap when it does. Raises `Problem`, with what the receiver said."""
        if self.answers():
            return
        with self._alone():
            if not self.answers():
                self._start()

    def stop(self) -> None:
        """End it, after it has acknowledged what it was sent. Idempotent. Raises `Problem`."""
        self._daemon.stop(grace=STOP_GRACE)
        self.socket.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Whether it runs; it may still be unable to store lines, for want of disk."""
        request = b"GET /health HTTP/1.1\r\nHost: bluestone\r\nConnection: close\r\n\r\n"
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ANSWER_TIMEOUT)
                connection.connect(str(self.socket))
                connection.sendall(request)
                return re.match(rb"HTTP/1\.1 (200|503) ", connection.recv(64)) is not None
        except OSError:
            return False

    def _start(self) -> None:
        self._daemon.stop(grace=STOP_GRACE)  # one that runs without answering would hold the store
        self.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.socket.parent.chmod(0o755)
        self._daemon.start(receiver_command(self._store, socket_path(self.socket)))
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            if self._daemon.pid() is None or time.monotonic() > deadline:
                raise Problem(
                    f"the log receiver did not start:\n{self._daemon.last_words()}",
                    mend="mend what it says and try again",
                    left="servers keep their lines until a receiver answers",
                )
            time.sleep(0.02)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two commands must not start two receivers: the second would replace the first one's pid file."""
        self._run.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._run / "log-receiver.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def receiver_command(store: Path, path: Path) -> list[str]:
    """The command that runs a receiver."""
    return [sys.executable, "-m", "bluestone.logs.receiver", "--store", str(store), "--socket", str(path)]
