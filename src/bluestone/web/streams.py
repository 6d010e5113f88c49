"""Answers that last: lines as they arrive, and lines to take away. Whoever reads slowly is sent them slowly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, ExitStack
from itertools import islice
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bluestone.app.logs.browse import every
from bluestone.app.logs.logs import reading
from bluestone.model.problem import Problem
from bluestone.model.record import Record
from bluestone.web.api import as_data
from bluestone.web.asked import Search, number, search_of
from bluestone.web.gate import Visitor
from bluestone.web.site import Site

if TYPE_CHECKING:
    from bluestone.logs.backend import Arriving

POLL = 0.25
"""Seconds between two looks for what has arrived."""

SIGN = 15.0
"""Seconds after which a tail without lines says that it is still there."""

MOST = 1_000_000
"""Lines of a download."""

PIECE = 500


class Streams:
    """The endpoints."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def tail(self, request: Request, visitor: Visitor) -> Response:
        """Lines as they arrive, as server-sent events; after the `Last-Event-ID` of a reader who comes back."""
        asked = search_of(request.query_params)
        after = request.headers.get("last-event-id") or request.query_params.get("after") or None
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._site.stream())
            closing = opening.enter_context(ExitStack())
            found = closing.enter_context(reading(self._site.project, asked.asked))
            fresh = await anyio.to_thread.run_sync(lambda: found.arrivals(after))
            closing.callback(fresh.close)
            await anyio.to_thread.run_sync(lambda: self._site.note(visitor, "tail", asked.words, None))
            kept = opening.pop_all()

        return Lasting(
            self._events(request, visitor, asked, fresh), kept, "text/event-stream", {"x-accel-buffering": "no"}
        )

    async def _events(
        self, request: Request, visitor: Visitor, asked: Search, fresh: Arriving
    ) -> AsyncGenerator[bytes, None]:
        lines, quiet_since = 0, float("-inf")
        try:
            yield b"retry: 1000\n\n"
            while self._site.gate.lets_in(request):
                records, position = await anyio.to_thread.run_sync(lambda: fresh.fresh(time.time_ns() // 1000))
                for place, record in enumerate(records, 1):
                    lines += 1
                    # A position is behind all of these: who has only some of them asks for all again.
                    yield event(record, position if place == len(records) else None)
                now = time.monotonic()
                if records:
                    quiet_since = now
                    continue
                if now - quiet_since > SIGN:
                    quiet_since = now
                    yield f"id: {position}\nevent: alive\ndata: {{}}\n\n".encode()
                await asyncio.sleep(POLL)
        except Problem as problem:
            yield b"event: trouble\ndata: " + msgspec.json.encode(problem.what) + b"\n\n"
        finally:
            self._site.note(visitor, "tail ended", asked.words, lines)

    async def download(self, request: Request, visitor: Visitor) -> Response:
        """The lines of a search, the oldest first, as NDJSON or text."""
        asked = search_of(request.query_params)
        form = request.query_params.get("format", "ndjson")
        if form not in FORMATS:
            raise Problem(f'"{form[:80]}" is no format', mend=f"choices: {', '.join(FORMATS)}")
        most = number("most", request.query_params.get("most", str(MOST)), 1, MOST)
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._site.stream())
            lines = every(self._site.project, asked.asked, most)
            # The first of them before anything is answered: what cannot be asked is said properly.
            first = await self._site.work(lambda: list(islice(lines, PIECE)))
            self._site.note(visitor, "download", {**asked.words, "format": form}, None)
            kept = opening.pop_all()
        ending = "ndjson" if form == "ndjson" else "txt"
        name = f"{self._site.project.name}-logs.{ending}"
        return Lasting(
            self._lines(lines, first, form, visitor, asked),
            kept,
            FORMATS[form],
            {"content-disposition": f'attachment; filename="{name}"'},
        )

    async def _lines(
        self, lines: Iterator[Record], piece: list[Record], form: str, visitor: Visitor, asked: Search
    ) -> AsyncGenerator[bytes, None]:
        written = as_ndjson if form == "ndjson" else as_text
        count = 0
        try:
            while piece:
                count += len(piece)
                yield b"".join(map(written, piece))
                piece = await anyio.to_thread.run_sync(lambda: list(islice(lines, PIECE)))
        finally:
            self._site.note(visitor, "download ended", {**asked.words, "format": form}, count)


class Lasting(StreamingResponse):
    """An answer that lasts. What is held for it is let go however it ends, and if it never begins."""

    def __init__(
        self, content: AsyncGenerator[bytes, None], held: AsyncExitStack, media_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._content, self._held = content, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with self._held:
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._content.aclose()


def event(record: Record, position: str | None) -> bytes:
    """A line as a server-sent event."""
    name = f"id: {position}\n".encode() if position else b""
    return name + b"data: " + msgspec.json.encode(as_data(record)) + b"\n\n"


def as_ndjson(record: Record) -> bytes:
    """A line as a line of JSON."""
    return msgspec.json.encode(as_data(record)) + b"\n"


def as_text(record: Record) -> bytes:
    """A line as `bluestone logs` shows it; what would speak to a terminal is left out."""
    when = record.at.astimezone().isoformat(sep=" ", timespec="milliseconds")
    text = f"{when}  {record.identity.server}  {record.unit}: {record.message}"
    return "".join(c if c.isprintable() else "?" if c != "\n" else "\n    " for c in text).encode() + b"\n"


FORMATS = {"ndjson": "application/x-ndjson", "text": "text/plain; charset=utf-8"}
