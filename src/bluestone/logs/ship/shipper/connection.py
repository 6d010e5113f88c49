"""One HTTP connection to the receiver, by a unix socket or by TLS."""

from __future__ import annotations

import re
import socket
import zlib

LEVEL = 1
"""Of lines such as journald writes, level 1 leaves 9.0 % and level 6 leaves 7.4 %, for twice the work (measured)."""

GZIP = 31
"""zlib's word for a gzip header around its data."""

ENDPOINT = re.compile(r"unix:(?P<path>/.+)|https://(?P<host>[^/:\[\]]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})/?")


class Receiver:
    """The other end: a connection that is kept, and made again when it breaks.

    `token` and `certificate` (a PEM file with its key) say who sends: one of them is enough."""

    def __init__(
        self, endpoint: str, token: str = "", authorities: str | None = None, certificate: str | None = None
    ) -> None:
        self._where = ENDPOINT.fullmatch(endpoint)
        if not self._where:
            raise SystemExit(f"shipper: cannot ship to {endpoint!r}: say unix:/PATH or https://HOST:PORT")
        self._authorities, self._certificate = authorities, certificate
        self.far = bool(self._where["host"])
        """Whether a network is between, so that bodies had better be compressed."""
        self._head = (
            f"POST /v1/lines HTTP/1.1\r\nHost: {self._where['host'] or 'bluestone'}\r\n"
            + (f"Authorization: Bearer {token}\r\n" if token else "")
            + ("Content-Encoding: gzip\r\n" if self.far else "")
            + "Content-Type: application/x-ndjson\r\nContent-Length: "
        ).encode()
        self._socket: socket.socket | None = None
        self.reached = False
        """Whether there was a connection when the last batch was sent."""

    def post(self, body: bytes, timeout: float) -> int:
        """Send one batch, packed by `pack`, and return the answer's HTTP status. Raises `OSError`.

        `timeout` in seconds, for each step.
        """
        try:
            kept = self._socket is not None
            try:
                return self._exchange(body, timeout)
            except ConnectionError:
                if not kept:
                    raise
                self.close()  # the receiver may close an idle connection at any time: try once on a new one
                return self._exchange(body, timeout)
        except OSError:
            self.close()
            raise

    def pack(self, lines: bytes) -> bytes:
        """Lines as they travel."""
        if not self.far:
            return lines
        squeeze = zlib.compressobj(LEVEL, wbits=GZIP)
        return squeeze.compress(lines) + squeeze.flush()

    def unpack(self, body: bytes) -> bytes:
        """The lines again."""
        return zlib.decompress(body, wbits=GZIP) if self.far else body

    def close(self) -> None:
        """Drop the connection."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _exchange(self, body: bytes, timeout: float) -> int:
        self.reached = self._socket is not None
        connection = self._socket = self._socket or self._connect(timeout)
        self.reached = True
        connection.settimeout(timeout)
        connection.sendall(self._head + b"%d\r\n\r\n" % len(body))
        connection.sendall(body)
        return self._answer(connection)

    def _connect(self, timeout: float) -> socket.socket:
        assert self._where
        if path := self._where["path"]:
            plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            plain.settimeout(timeout)
            plain.connect(path)
            return plain
        import ssl  # not above: it costs 5 MB of memory, and most servers ship through a unix socket

        host = self._where["host"].strip("[]")
        plain = socket.create_connection((host, int(self._where["port"])), timeout=timeout)
        try:
            context = ssl.create_default_context(cafile=self._authorities)
            if self._certificate:
                context.load_cert_chain(self._certificate)
            return context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def _answer(self, connection: socket.socket) -> int:
        """Read one answer (RFC 9112) to its end. The receiver always states a Content-Length."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _receive(connection, answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] ([1-5]\d\d)", head)
        length = re.search(rb"\r\ncontent-length: *(\d{1,6})", head, re.IGNORECASE)
        if not status:
            raise ConnectionError("the receiver does not speak HTTP")
        while length and len(body) < int(length[1]):
            body += _receive(connection, body)
        if not length or re.search(rb"\r\nconnection: *close", head, re.IGNORECASE):
            self.close()
        return int(status[1])


def _receive(connection: socket.socket, so_far: bytes) -> bytes:
    data = connection.recv(65536)
    if not data or len(so_far) > 1 << 20:
        raise ConnectionError("the receiver closed the connection before its answer")
    return data
