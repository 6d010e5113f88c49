"""HTTP over a unix socket."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

CONNECT_TIMEOUT = 5.0
"""Seconds until the daemon must have taken a connection, and begun to answer."""


class Connection(http.client.HTTPConnection):
    """A connection to the daemon whose socket is at a path."""

    def __init__(self, path: Path) -> None:
        super().__init__("bluestone", timeout=CONNECT_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket. Raises `OSError`."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(CONNECT_TIMEOUT)
        self.sock.connect(str(self._path))

    def no_timeout(self) -> None:
        """Wait for ever from here on: the answer takes as long as the work."""
        if self.sock is not None:
            self.sock.settimeout(None)
