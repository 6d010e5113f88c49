"""What tests of the shipper share: a receiver that answers as it is told, and a journal that is a script."""

from __future__ import annotations

import gzip
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def line(number: int, message: str = "") -> bytes:
    """An entry of a journal."""
    return json.dumps({"MESSAGE": message or f"line {number}", "__CURSOR": f"s=1;i={number:x}"}).encode()


def wait_until(condition: Callable[[], bool], patience: float = 30.0) -> None:
    """Look until it is true."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


class Fake:
    """A receiver on a unix socket: gives the answers it is told to, then 200; keeps what it acknowledged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.statuses: list[int] = []
        self.stored: list[bytes] = []
        self.heads: list[bytes] = []
        self.limit = 1 << 30
        self.close_after_answer = False
        self.breaks_beyond, self.broken = 1 << 30, 0
        """Bytes of a body that no connection survives, and how many did not."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while head := b"".join(iter(stream.readline, b"\r\n")):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                if length > self.breaks_beyond:
                    self.broken += 1
                    return
                body = stream.read(length)
                status = 413 if length > self.limit else self.statuses.pop(0) if self.statuses else 200
                if status == 0:
                    return
                self.heads.append(head)
                if status == 200:
                    self.stored += (gzip.decompress(body) if b"gzip" in head else body).splitlines()
                connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status)
                if self.close_after_answer:
                    return


JOURNALCTL = """
import pathlib, sys, time
pathlib.Path(ASKED).write_text(" ".join(sys.argv[1:]))
FOLLOW = "--follow" in sys.argv
START = int(sys.argv[-1].rpartition("=")[2], 16) if "--cursor" in sys.argv[-1] else 0
def say(*numbers):
    for number in numbers:
        print('{"__CURSOR":"s=1;i=%x"}' % number)
    sys.stdout.flush()
"""


def journalctl(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a `journalctl` of our own first on the path; the file `asked` gets its arguments."""
    program = directory / "bin" / "journalctl"
    program.parent.mkdir(exist_ok=True)
    asked = str(directory / "asked")
    program.write_text(f"#!{sys.executable} -I\nASKED = {asked!r}\n{JOURNALCTL}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
