"""Stores what waits: many requests together, so that one fsync serves many senders, and each sender in its turn."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bluestone.logs.ingest.door import Rejection
from bluestone.logs.ingest.lines import Line
from bluestone.logs.store.store import Batch, Store, is_full

GROUP = 2 << 20
"""Bytes stored at once (at least one request): beyond it, waiting together saves no more time."""


@dataclass
class Waiting:
    """Lines of a sender that are not on the disk yet; `size` in bytes."""

    server: int
    lines: Sequence[Line]
    size: int
    shipped: bool
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Committer:
    """The one way into the store, one group at a time. Who sends much waits for itself, and nobody else for it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[int, deque[Waiting]] = {}
        self._bell = asyncio.Event()
        self._ending = False
        self.trouble = ""

    async def commit(self, server: int, lines: Sequence[Line], size: int, *, shipped: bool) -> None:
        """Return when the lines are durable. Raises `Rejection`; then none of them was stored."""
        waiting = Waiting(server, lines, size, shipped)
        self._queues.setdefault(server, deque()).append(waiting)
        self._bell.set()
        await waiting.done

    def overloaded(self) -> bool:
        """Whether the store itself asks for a pause."""
        return self._store.overloaded()

    async def run(self) -> None:
        """Work until `stop`."""
        while self._queues or not self._ending:
            await self._bell.wait()
            self._bell.clear()
            while self._queues:
                await self._store_group(self._next_group())

    def stop(self) -> None:
        """End `run` after what waits now."""
        self._ending = True
        self._bell.set()

    def _next_group(self) -> list[Waiting]:
        """One request of each sender, and again, until it is enough; who was served goes to the end of the line."""
        group: list[Waiting] = []
        size = 0
        while self._queues and (size < GROUP or not group):
            server, queue = next(iter(self._queues.items()))
            del self._queues[server]
            waiting = queue.popleft()
            if queue:
                self._queues[server] = queue
            group.append(waiting)
            size += waiting.size
        return group

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
        self._store.append(Batch(each.server, tuple(each.lines), each.shipped) for each in group)


def _rejection(error: OSError | sqlite3.Error) -> Rejection:
    if isinstance(error, OSError) and is_full(error):
        return Rejection(507, f"the log store's disk is full ({error})", "keep the lines and send them again")
    return Rejection(503, f"the log store cannot be written ({error})", "keep the lines and send them again")
