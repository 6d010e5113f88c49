"""Talks to a running QEMU: the QEMU machine protocol (QMP), as far as it is needed."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from bluestone.model.problem import Problem

LONGEST = 1 << 20
"""Bytes of the longest message that is read."""


class QmpError(Problem):
    """QEMU could not be asked, or refused."""


class Monitor:
    """A conversation with one QEMU by its monitor's unix socket; a context manager.

    QEMU serves one client at a time; another waits for its greeting. All waiting together takes at most
    `timeout` seconds. Raises `QmpError`.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._until = time.monotonic() + timeout
        self._buffer = b""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(timeout)
            self._connect()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def execute(self, command: str) -> Any:
        """Have QEMU carry out a command; return what it answers. Events that come in between are passed over."""
        try:
            self._socket.sendall(msgspec.json.encode({"execute": command}) + b"\n")
            while True:
                answer = self._receive()
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise self._error(f"{command}: {answer['error']}")
        except OSError as error:
            raise self._error(f"{command}: {error}") from error

    def close(self) -> None:
        """End the conversation."""
        self._socket.close()

    def _connect(self) -> None:
        try:
            self._socket.connect(str(self._path))
            greeting = self._receive()
        except OSError as error:
            raise self._error(str(error)) from error
        if "QMP" not in greeting:
            raise self._error(f"it greets with {greeting}")
        self.execute("qmp_capabilities")

    def _receive(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            left = self._until - time.monotonic()
            if left <= 0:
                raise self._error("it does not answer in time")
            self._socket.settimeout(left)
            data = self._socket.recv(65536)
            if not data or len(self._buffer) > LONGEST:
                raise self._error("it ended the conversation")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise self._error(f"it says what is no message: {line[:80]!r}") from error

    def _error(self, what: str) -> QmpError:
        return QmpError(f"QEMU cannot be asked at {self._path}: {what}", mend="see `bluestone servers`")
