"""The receiver's door, in short: over a real store, without bounds, and in trouble when a test says so."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from bluestone.logs.ingest.door import Rejection, token_of
from bluestone.logs.ingest.lines import Line
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store.store import Batch, Store
from bluestone.model.record import Identity

NOW = 1_795_000_000_000_000


@dataclass
class Taken:
    server: int
    body: bytes
    received: int
    door: Door

    async def store(self, lines: Sequence[Line]) -> None:
        if self.door.trouble:
            self.door.refused += 1
            raise self.door.trouble
        self.door.store.append([Batch(self.server, tuple(lines), shipped=False)])


class Door:
    """The receiver's door, in short."""

    def __init__(self, directory: Path) -> None:
        self.store, self.credentials = Store(directory), Credentials(directory)
        self.token = self.credentials.mint(Identity("shop", "filebeat", "sources", 0, ""))
        self.trouble: Rejection | None = None
        self.refused = 0

    def holder(self, request: Request) -> int:
        found = self.credentials.holder(token_of(request.headers.get("authorization", "")))
        if found is None:
            raise Rejection(401, "unknown token", "send it")
        return found

    @asynccontextmanager
    async def admit(self, request: Request) -> AsyncIterator[Taken]:
        server = self.holder(request)
        content = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        yield Taken(server, content, NOW, self)
