"""Takes syslog by TLS: who sends is told by the certificate, and has one, or nothing is read."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bluestone.logs.ingest.door import Rejection
from bluestone.logs.ingest.lines import Line, parse_line
from bluestone.logs.receive.admission import Holders, Shares, Sink
from bluestone.logs.receive.enrich import enrich
from bluestone.logs.receive.syslog import Frames, line_of
from bluestone.model.problem import Problem

READ = 64 << 10
MOST_CONNECTIONS = 256
IDLE = 3600.0
"""Seconds after which a silent connection is closed; senders connect again when they have something to say."""

HANDSHAKE = 20.0
PAUSE, LONGEST_PAUSE = 0.2, 5.0


class Syslog:
    """A listener. There is no acknowledgement in syslog: while the store takes nothing, nothing more is read."""

    def __init__(self, holders: Holders, sink: Sink) -> None:
        self._holders, self._sink = holders, sink
        self._shares = Shares()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, address: str, certificate: Path, authority: Path) -> int:
        """Listen at `ADDRESS:PORT`; the port, should that be 0. Raises `Problem`."""
        host, _, port = address.rpartition(":")
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(certificate)
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
            self._server = await asyncio.start_server(
                self._connected, host.strip("[]"), int(port), ssl=context, ssl_handshake_timeout=HANDSHAKE
            )
        except (OSError, ValueError, OverflowError) as error:
            raise Problem(f"cannot take syslog at {address}: {error}", mend="choose another address or port") from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections; store what the others have sent so far."""
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            secure = writer.get_extra_info("ssl_object")
            certificate = secure.getpeercert(binary_form=True)
            if certificate and len(self._tasks) <= MOST_CONNECTIONS:
                await self._serve(reader, certificate)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            print(f"receiver: a sender of syslog was cut off: {error}", file=sys.stderr, flush=True)
        except asyncio.CancelledError:
            pass  # the receiver ends, and what was read is stored
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, certificate: bytes) -> None:
        frames = Frames()
        while True:
            data = b""
            with suppress(TimeoutError):
                data = await asyncio.wait_for(reader.read(READ), IDLE)
            server = self._holders.certified(certificate)
            if server is None:
                raise ValueError("its certificate is nobody's (any more)")
            received = time.time_ns() // 1000
            messages = frames.feed(data) if data else frames.end()
            lines = [parse_line(enrich(line_of(message, received)), received) for message in messages]
            if lines:
                await asyncio.shield(asyncio.ensure_future(self._store(server, lines, len(data))))
            if not data:
                return
            wait = self._shares.wait(server, time.monotonic())
            if wait := max(wait, PAUSE if self._sink.overloaded() else 0.0):
                await asyncio.sleep(wait)

    async def _store(self, server: int, lines: Sequence[Line], size: int) -> None:
        self._shares.spend(server, size, time.monotonic())
        pause = PAUSE
        while True:
            try:
                return await self._sink.commit(server, lines, size, shipped=False)
            except Rejection:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
