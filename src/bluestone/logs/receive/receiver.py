"""The receiver: takes lines over HTTP, and acknowledges what is on the disk.

`python -m bluestone.logs.receive.receiver --store DIR --socket PATH` runs it. Servers on this machine that share its
files come by the unix socket; others by TLS.
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
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TextIO

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluestone.host.paths import private_directory
from bluestone.logs.ingest import elasticsearch
from bluestone.logs.ingest.door import Rejection
from bluestone.logs.ingest.lines import Line, parse_lines
from bluestone.logs.receive import otlp
from bluestone.logs.receive.admission import Door, answer
from bluestone.logs.receive.committer import Committer
from bluestone.logs.receive.consoles import Consoles
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.enrich import OF_JOURNAL, enrich
from bluestone.logs.receive.listening import Listening, servers
from bluestone.logs.receive.syslogd import Syslog
from bluestone.logs.store.store import Store
from bluestone.model.problem import Problem

LAST, AGAIN = 3.0, 5.0
"""Seconds that a child beside the receiver has for its end, and until one that ended by itself is begun again."""


class Lines:
    """What servers' shippers ask for."""

    def __init__(self, door: Door, committer: Committer) -> None:
        self._door, self._committer = door, committer

    async def take(self, request: Request) -> Response:
        """`POST /v1/lines`: the lines of the server whose credential it is; 200 when they are durable."""
        try:
            async with self._door.admit(request) as admitted:
                lines = await asyncio.to_thread(read, admitted.body, admitted.received)
                await admitted.store(lines, shipped=True)
        except Rejection as rejection:
            return answer(rejection)
        except ClientDisconnect:
            return Response(status_code=400)
        return JSONResponse({"status": "stored"})

    async def health(self, _: Request) -> Response:
        """`GET /health`: 200 while lines can be stored, 503 with the reason since they cannot."""
        trouble = self._committer.trouble
        return JSONResponse({"status": trouble or "ok", "waiting": self._door.waiting()}, 503 if trouble else 200)


def read(body: bytes, received: int) -> list[Line]:
    """The lines of a body, with what they say about themselves."""
    return parse_lines(b"\n".join(map(enrich, body.split(b"\n"))) if OF_JOURNAL in body else body, received)


def application(directory: Path, console_directory: Path | None = None, sinks: Path | None = None) -> Starlette:
    """The ASGI application over a store, which also takes in the consoles of a directory.

    Beside it runs what gives lines to the sinks that a file names.

    Raises `Problem` if the store cannot be opened.
    """
    store, credentials = Store(directory, behind=True), Credentials(directory)
    committer = Committer(store)
    door = Door(credentials, committer)
    lines = Lines(door, committer)
    consoles = watched(console_directory, credentials, committer) if console_directory else None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(committer.run())
        watch = asyncio.create_task(consoles.run()) if consoles else None
        onward = asyncio.create_task(beside(forward_command(directory, sinks))) if sinks else None
        yield
        if onward:
            onward.cancel()
            await asyncio.wait([onward])
        if consoles and watch:
            watch.cancel()
            await asyncio.wait([watch])
            await consoles.sweep()  # the last words of servers that ended with us
        committer.stop()
        await work
        store.close()
        credentials.close()

    routes = [
        Route("/v1/lines", lines.take, methods=["POST"]),
        Route("/health", lines.health, methods=["GET"]),
        *otlp.routes(door),
        *elasticsearch.routes(door),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.syslog = Syslog(credentials, committer)
    return app


def forward_command(store: Path, sinks: Path) -> list[str]:
    """The command that gives lines to sinks until its standard input ends."""
    return [sys.executable, "-m", "bluestone.logs.forward", str(store), str(sinks)]


async def beside(command: Sequence[str]) -> None:
    """Have a child run until we are cancelled, begun again when it ends; its end is the end of its standard input."""
    while True:
        child = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        try:
            await child.wait()
        finally:
            assert child.stdin
            child.stdin.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), LAST)
            if child.returncode is None:
                child.kill()
        await asyncio.sleep(AGAIN)


def watched(directory: Path, credentials: Credentials, committer: Committer) -> Consoles:
    """The consoles of a directory, stored through the committer."""

    async def sink(number: int, body: bytes, micros: int) -> None:
        try:
            await committer.commit(number, parse_lines(body, micros), len(body), shipped=False)
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
    syslog: Syslog = app.state.syslog
    async with app.router.lifespan_context(app):
        if listening.syslog and listening.certificate and listening.authority:
            await syslog.start(listening.syslog, listening.certificate, listening.authority)
        await asyncio.gather(*(server.serve(sockets) for server, sockets in running))
        await syslog.stop()


def serve(directory: Path, listening: Listening, consoles: Path | None = None, sinks: Path | None = None) -> None:
    """Receive until SIGTERM. Raises `Problem`."""
    with hold(directory):
        asyncio.run(receive(application(directory, consoles, sinks), listening))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bluestone.logs.receive.receiver", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="directory of the log store")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    parser.add_argument("--listen", metavar="HOST:PORT", help="loopback address to listen on as well")
    parser.add_argument("--tls", metavar="HOST:PORT", action="append", default=[], help="address to listen on by TLS")
    parser.add_argument("--syslog", metavar="HOST:PORT", help="address to take syslog at, by TLS")
    parser.add_argument("--certificate", type=Path, help="PEM file with the certificate for TLS and its key")
    parser.add_argument("--authority", type=Path, help="PEM file with the authority whose certificates let senders in")
    parser.add_argument("--consoles", type=Path, help="directory of consoles to take lines from")
    parser.add_argument("--sinks", type=Path, help="file that names the sinks which get all lines as well")
    chosen = parser.parse_args()
    if bool(chosen.tls or chosen.syslog) != bool(chosen.certificate):
        parser.error("--tls or --syslog, and --certificate go together")
    if chosen.syslog and not chosen.authority:
        parser.error("--syslog needs --authority, whose certificates let senders in")
    listening = Listening(
        chosen.socket, chosen.listen, tuple(chosen.tls), chosen.certificate, chosen.authority, chosen.syslog
    )
    try:
        serve(chosen.store, listening, chosen.consoles, chosen.sinks)
    except Problem as problem:
        raise SystemExit(str(problem)) from problem


if __name__ == "__main__":
    main()
