"""The receiver: takes lines over HTTP, and acknowledges what is on the disk.

`python -m bluestone.logs.receiver --store DIR --socket PATH` runs it. Requests that wait together are
committed together, so that one fsync serves many servers. Servers on this machine that share its files come by the
unix socket; others by TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluestone.host.paths import private_directory
from bluestone.logs.consoles import Consoles
from bluestone.logs.credentials import Credentials
from bluestone.logs.ingest.lines import parse_lines
from bluestone.logs.listening import Listening, servers
from bluestone.logs.store.store import Batch, Store, is_full
from bluestone.model.problem import Problem

MAX_BODY = 8 << 20
MAX_WAITING = 64 << 20
"""Bytes of all requests that are being read or wait for the disk; beyond it, shippers are asked to wait.
One server may take up `MAX_BODY` of it."""

BODY_TIMEOUT = 30.0
GROUP = 2 << 20
"""Bytes in one transaction (at least one request): beyond it, waiting together saves no more time."""


class Rejection(Exception):
    """Why a request is not taken: an HTTP status, and what its sender can do."""

    def __init__(self, status: int, what: str, mend: str) -> None:
        super().__init__(what)
        self.status, self.what, self.mend = status, what, mend

    def response(self) -> Response:
        """As the sender sees it."""
        wait = {"Retry-After": "1"} if self.status in (429, 503, 507) else {}
        return JSONResponse({"error": self.what, "mend": self.mend}, self.status, wait)


@dataclass
class Waiting:
    """A request whose lines are not on the disk yet."""

    server: int
    body: bytes
    received: int
    shipped: bool = True
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Committer:
    """Stores what waits, many requests in one transaction, one transaction at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: asyncio.Queue[Waiting | None] = asyncio.Queue()
        self.trouble = ""

    async def commit(self, waiting: Waiting) -> None:
        """Return when the lines are durable. Raises `Rejection`; then none of them was stored."""
        self._queue.put_nowait(waiting)
        await waiting.done

    async def run(self) -> None:
        """Work until `stop`."""
        while (first := await self._queue.get()) is not None:
            group, size = [first], len(first.body)
            while size < GROUP and not self._queue.empty():
                following = self._queue.get_nowait()
                if following is None:
                    self.stop()
                    break
                group.append(following)
                size += len(following.body)
            await self._store_group(group)

    def stop(self) -> None:
        """End `run` after what waits now."""
        self._queue.put_nowait(None)

    async def _store_group(self, group: list[Waiting]) -> None:
        rejection = None
        try:
            await asyncio.to_thread(self._append, group)
            self.trouble = ""
        except (OSError, sqlite3.Error) as error:
            rejection = _rejection(error)
            if rejection.what != self.trouble:
                print(f"receiver: {rejection.what}", file=sys.stderr, flush=True)
            self.trouble = rejection.what
        for waiting in group:
            if waiting.done.done():  # its sender has gone
                continue
            if rejection:
                waiting.done.set_exception(rejection)
            else:
                waiting.done.set_result(None)

    def _append(self, group: list[Waiting]) -> None:
        self._store.append(
            Batch(waiting.server, tuple(parse_lines(waiting.body, waiting.received)), waiting.shipped)
            for waiting in group
        )


def _rejection(error: OSError | sqlite3.Error) -> Rejection:
    if isinstance(error, OSError) and is_full(error):
        return Rejection(507, f"the log store's disk is full ({error})", "keep the lines and send them again")
    return Rejection(503, f"the log store cannot be written ({error})", "keep the lines and send them again")


class Door:
    """Lets in who has a token, and no more than memory allows."""

    def __init__(self, credentials: Credentials, committer: Committer) -> None:
        self._credentials = credentials
        self._committer = committer
        self._reserved: Counter[int] = Counter()

    async def take_lines(self, request: Request) -> Response:
        """`POST /v1/lines`: the lines of the server whose token it is; 200 when they are durable."""
        try:
            server = self._holder(request)
            size = self._announced_size(request, server)
            self._reserved[server] += size
            try:
                body = await self._read(request, size)
                await self._committer.commit(Waiting(server, body, time.time_ns() // 1000))
            finally:
                self._reserved[server] -= size
                self._reserved += Counter()  # forget those at zero
        except Rejection as rejection:
            return rejection.response()
        except ClientDisconnect:
            return Response(status_code=400)
        return JSONResponse({"status": "stored"})

    async def health(self, _: Request) -> Response:
        """`GET /health`: 200 while lines can be stored, 503 with the reason since they cannot."""
        trouble = self._committer.trouble
        return JSONResponse({"status": trouble or "ok", "waiting": self._reserved.total()}, 503 if trouble else 200)

    def _holder(self, request: Request) -> int:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        server = self._credentials.holder(token.strip()) if scheme.lower() == "bearer" else None
        if server is None:
            raise Rejection(401, "unknown or revoked token", "send the token that the server was created with")
        return server

    def _announced_size(self, request: Request, server: int) -> int:
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Rejection(415, "compressed bodies are not taken", "send the lines as they are")
        length = request.headers.get("content-length", "")
        size = int(length) if length.isdigit() and len(length) < 12 else MAX_BODY
        if size > MAX_BODY:
            raise Rejection(413, f"at most {MAX_BODY} bytes are taken at once", "send fewer lines at once")
        if self._reserved[server] + size > MAX_BODY or self._reserved.total() + size > MAX_WAITING:
            raise Rejection(429, "too much is waiting to be stored", "send it again in a second")
        return size

    async def _read(self, request: Request, size: int) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                async for piece in request.stream():
                    body += piece
                    if len(body) > size:
                        raise Rejection(413, f"at most {MAX_BODY} bytes are taken at once", "send fewer lines")
        except TimeoutError:
            raise Rejection(408, f"the body did not come within {BODY_TIMEOUT:g} s", "send it again") from None
        return bytes(body)


def application(directory: Path, console_directory: Path | None = None) -> Starlette:
    """The ASGI application over a store, which also takes in the consoles of a directory.

    Raises `Problem` if the store cannot be opened.
    """
    store, credentials = Store(directory, behind=True), Credentials(directory)
    committer = Committer(store)
    door = Door(credentials, committer)
    consoles = watched(console_directory, credentials, committer) if console_directory else None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(committer.run())
        watch = asyncio.create_task(consoles.run()) if consoles else None
        yield
        if consoles and watch:
            watch.cancel()
            await asyncio.wait([watch])
            await consoles.sweep()  # the last words of servers that ended with us
        committer.stop()
        await work
        store.close()
        credentials.close()

    routes = [
        Route("/v1/lines", door.take_lines, methods=["POST"]),
        Route("/health", door.health, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def watched(directory: Path, credentials: Credentials, committer: Committer) -> Consoles:
    """The consoles of a directory, stored through the committer."""

    async def sink(number: int, body: bytes, micros: int) -> None:
        try:
            await committer.commit(Waiting(number, body, micros, shipped=False))
        except Rejection as rejection:
            raise Problem(rejection.what, mend=rejection.mend) from rejection

    def find(server: str) -> int | None:
        with suppress(sqlite3.Error):
            return credentials.server(server)
        return None

    return Consoles(directory, find, sink, lambda: time.time_ns() // 1000)


def hold(directory: Path) -> TextIO:
    """Be the only receiver of a store for as long as the file is open. Raises `Problem` if another one is."""
    file = (private_directory(directory) / "receiver.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read(32).strip() or "unknown"
        raise Problem(
            f"another receiver (process {holder}) already serves the log store {directory}",
            mend="use that one, or end it first",
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


async def receive(app: Starlette, listening: Listening) -> None:
    """Serve until SIGTERM. Raises `Problem`."""
    running = list(servers(app, listening))

    def end() -> None:
        for server, _ in running:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    async with app.router.lifespan_context(app):
        await asyncio.gather(*(server.serve(sockets) for server, sockets in running))


def serve(directory: Path, listening: Listening, consoles: Path | None = None) -> None:
    """Receive until SIGTERM. Raises `Problem`."""
    with hold(directory):
        asyncio.run(receive(application(directory, consoles), listening))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bluestone.logs.receiver", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="directory of the log store")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    parser.add_argument("--listen", metavar="HOST:PORT", help="loopback address to listen on as well")
    parser.add_argument("--tls", metavar="HOST:PORT", help="address to listen on by TLS, as well")
    parser.add_argument("--certificate", type=Path, help="PEM file with the certificate for TLS and its key")
    parser.add_argument("--consoles", type=Path, help="directory of consoles to take lines from")
    chosen = parser.parse_args()
    if (chosen.tls is None) != (chosen.certificate is None):
        parser.error("--tls and --certificate go together")
    listening = Listening(chosen.socket, chosen.listen, chosen.tls, chosen.certificate)
    try:
        serve(chosen.store, listening, chosen.consoles)
    except Problem as problem:
        raise SystemExit(str(problem)) from problem


if __name__ == "__main__":
    main()
