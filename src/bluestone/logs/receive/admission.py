"""Who is let in, and how much of it: credentials, memory, compressed bodies, and each sender's share."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bluestone.logs.ingest.door import Rejection, token_of
from bluestone.logs.ingest.lines import Line

MAX_BODY = 8 << 20
"""Bytes of one request, uncompressed."""

MAX_WAITING = 64 << 20
"""Bytes of all requests that are being read or wait for the disk; beyond it, senders are asked to wait.
One sender may take up `MAX_BODY` of it."""

BODY_TIMEOUT = 30.0
PIECE = 256 << 10

RATE, BURST = 8 << 20, 64 << 20
"""Bytes a second that one sender may go on sending, and what it may send at once: a server's whole journal, after the
receiver was away."""

BEHIND = 3.0
"""Seconds after which to ask again where the store lags."""

SENDERS = 10_000
"""Senders whose shares are remembered."""


def answer(rejection: Rejection) -> Response:
    """A rejection as the sender sees it."""
    head = {"Retry-After": f"{max(1, round(rejection.wait))}"} if rejection.status in (429, 503, 507) else {}
    return JSONResponse({"error": rejection.what, "mend": rejection.mend}, rejection.status, head)


class Holders(Protocol):
    """Who holds what."""

    def holder(self, token: str) -> int | None:
        """The sender that holds a token."""

    def certified(self, certificate: bytes) -> int | None:
        """The sender that a certificate (DER) was issued to."""


class Sink(Protocol):
    """Where lines go."""

    def overloaded(self) -> bool:
        """Whether so much waits already that senders should wait."""

    async def commit(self, server: int, lines: Sequence[Line], size: int, *, shipped: bool) -> None:
        """Return when they are durable. Raises `Rejection`; then none of them was stored."""


class Shares:
    """How much each sender may still send: a bucket that fills up at `RATE`, to `BURST`. Time comes in, in seconds."""

    def __init__(self) -> None:
        self._spent: dict[int, tuple[float, float]] = {}

    def wait(self, sender: int, now: float) -> float:
        """Seconds until it may send again; 0 if it may."""
        spent, at = self._spent.get(sender, (0.0, now))
        over = spent - (now - at) * RATE - BURST
        return max(0.0, over / RATE)

    def spend(self, sender: int, size: int, now: float) -> None:
        """It sent so many bytes."""
        spent, at = self._spent.pop(sender, (0.0, now))
        self._spent[sender] = (max(0.0, spent - (now - at) * RATE) + size, now)
        if len(self._spent) > SENDERS:
            del self._spent[next(iter(self._spent))]


@dataclass
class Admitted:
    """A request that was let in, with its body read and uncompressed; `received` in microseconds since 1970."""

    server: int
    body: bytes
    received: int
    _sink: Sink = field(repr=False)

    async def store(self, lines: Sequence[Line], *, shipped: bool = False) -> None:
        """Store lines of this sender; durable when it returns. Raises `Rejection`."""
        await self._sink.commit(self.server, lines, len(self.body), shipped=shipped)


class Door:
    """Lets in who has a credential, and no more than memory and its share allow."""

    def __init__(self, holders: Holders, sink: Sink) -> None:
        self._holders = holders
        self._sink = sink
        self._reserved: Counter[int] = Counter()
        self._shares = Shares()

    def holder(self, request: Request) -> int:
        """The sender, by its certificate, or else its token. Raises `Rejection`."""
        certificate = request.scope.get("client_certificate")
        if certificate is not None:
            server = self._holders.certified(certificate)
            if server is None:
                raise Rejection(
                    401, "this certificate is nobody's (any more)", "send with the one that was issued to you"
                )
            return server
        token = token_of(request.headers.get("authorization", ""))
        server = self._holders.holder(token) if token else None
        if server is None:
            raise Rejection(401, "unknown or revoked token", "send the token that the server was created with")
        return server

    @asynccontextmanager
    async def admit(self, request: Request) -> AsyncIterator[Admitted]:
        """Let a request in for as long as the context lasts. Raises `Rejection`."""
        server = self.holder(request)
        if wait := self._shares.wait(server, time.monotonic()):
            raise Rejection(429, "this sender writes faster than its share", "send less, or later", wait)
        if self._sink.overloaded():
            raise Rejection(429, "the log store is behind", "send it again in a few seconds", BEHIND)
        hold = _Hold(self._reserved, server)
        try:
            size = _announced(request)
            hold.grow(size)
            body = await _read(request, size)
            if request.headers.get("content-encoding", "identity") == "gzip":
                body = await asyncio.to_thread(_inflate, body, hold)
            self._shares.spend(server, len(body), time.monotonic())
            yield Admitted(server, body, time.time_ns() // 1000, self._sink)
        finally:
            hold.release()

    def waiting(self) -> int:
        """Bytes of all requests that are let in."""
        return self._reserved.total()


class _Hold:
    """The memory that one request takes."""

    def __init__(self, reserved: Counter[int], server: int) -> None:
        self._reserved, self._server, self._size = reserved, server, 0

    def grow(self, size: int) -> None:
        """Take so many bytes more. Raises `Rejection`."""
        if self._reserved[self._server] + size > MAX_BODY + PIECE or self._reserved.total() + size > MAX_WAITING:
            raise Rejection(429, "too much is waiting to be stored", "send it again in a second")
        self._reserved[self._server] += size
        self._size += size

    def release(self) -> None:
        """Give all of it back."""
        self._reserved[self._server] -= self._size
        if not self._reserved[self._server]:
            del self._reserved[self._server]


def _announced(request: Request) -> int:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding not in ("identity", "gzip"):
        raise Rejection(415, "bodies are taken as they are, or by gzip", "send the lines so")
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdigit() and len(length) < 12 else MAX_BODY
    if size > MAX_BODY:
        raise _too_large()
    return size


async def _read(request: Request, size: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for piece in request.stream():
                body += piece
                if len(body) > size:
                    raise _too_large()
    except TimeoutError:
        raise Rejection(408, f"the body did not come within {BODY_TIMEOUT:g} s", "send it again") from None
    return bytes(body)


def _inflate(body: bytes, hold: _Hold) -> bytes:
    """A gzip body as it was, which takes no more memory than another: a small one may hold very much."""
    squeezed, out = zlib.decompressobj(wbits=31), bytearray()
    rest = body
    try:
        while rest and not squeezed.eof:
            piece = squeezed.decompress(rest, PIECE)
            rest = squeezed.unconsumed_tail
            if len(out) + len(piece) > MAX_BODY:
                raise _too_large()
            hold.grow(max(0, len(out) + len(piece) - max(len(out), len(body))))
            out += piece
            if not piece and not rest:
                break
    except zlib.error as error:
        raise Rejection(400, f"the body is no gzip: {error}", "send it again, whole") from None
    if not squeezed.eof or squeezed.unused_data:
        raise Rejection(400, "the gzip body does not end where it should", "send it again, whole")
    return bytes(out)


def _too_large() -> Rejection:
    return Rejection(413, f"at most {MAX_BODY} bytes are taken at once", "send fewer lines at once")
