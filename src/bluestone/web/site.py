"""What pages and API have in common: project, store and gate, the note of who read what, and threads to work in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar

import anyio.to_thread

from bluestone.app.logs.reads import reads_of
from bluestone.app.logs.ready import IDLE, Ready
from bluestone.app.project import Project
from bluestone.web.gate import Gate, Refused, Visitor

AT_ONCE = 4
"""Searches at a time: each may use a processor."""

PATIENCE = 20.0
"""Seconds that a search waits for its turn."""

STREAMS = 64
"""Downloads and live tails at a time."""

T = TypeVar("T")


class Site:
    """One project, as it is served."""

    def __init__(self, project: Project, gate: Gate) -> None:
        self.project, self.gate = project, gate
        self.lines = Ready(project)
        self._closing: asyncio.TimerHandle | None = None
        self._reads = reads_of(project)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._streams = 0

    async def work(self, task: Callable[[], T]) -> T:
        """Do something in a thread, when it is its turn. Raises `Refused` if that does not come."""
        try:
            await asyncio.wait_for(self._turns.acquire(), PATIENCE)
        except TimeoutError:
            raise Refused(503, "too many searches at once: try again", 5) from None
        try:
            return await anyio.to_thread.run_sync(task)
        finally:
            self._turns.release()
            self._close_later()

    def _close_later(self) -> None:
        """Have what nobody asks any more closed, in a while."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(IDLE, self._close_idle)

    def _close_idle(self) -> None:
        self._closing = None
        if self.lines.close_idle():
            self._close_later()

    def note(self, visitor: Visitor, what: str, asked: Mapping[str, str], lines: int | None) -> None:
        """Note who read what. Called before it is shown. Raises `Problem`: then it must not be."""
        self._reads.append(datetime.now(UTC), visitor.user.name, visitor.user.role, what, asked, lines, visitor.address)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[None]:
        """Count what lasts. Raises `Refused` if there is too much of it."""
        if self._streams >= STREAMS:
            raise Refused(503, f"{STREAMS} downloads and live tails run already: try again", 30)
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1
