"""Stores what servers' consoles show: lines from before the journal is up, and a kernel's last words.

DIRECTORY/SERVER          what the console of a server shows, appended to by what runs the server
DIRECTORY/SERVER.ended    the same file, once that server is gone: removed when all of it is stored
DIRECTORY/SERVER.stored   how far it is stored

Each line is stored once, whatever dies in between: before a part of a file is stored, its bounds and its time are
written down; after a restart the last part is stored again under the same names and the same time, and the store
knows each line by these.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from bluestone.host.files import write_atomically
from bluestone.host.terminal import plain
from bluestone.model.ids import NAME
from bluestone.model.problem import Problem

UNIT = "console"
"""Under this name `bluestone logs` shows a console's lines."""

INTERVAL = 0.25
"""Seconds between two looks."""

PART = 64 << 10
"""Bytes stored at once, and the longest line."""

PANIC = "Kernel panic - "


Sink = Callable[[int, bytes, int], Awaitable[None]]
"""Where lines go: a server's id in the store, lines as a shipper sends them, and the time in microseconds since 1970.

It returns once they are durable, and raises `Problem` if nothing of them is stored."""


class Part(msgspec.Struct, frozen=True):
    """Bytes `start` to `end` of a console; `at` is when they were read, in microseconds since 1970."""

    start: int = 0
    end: int = 0
    at: int = 0


class Console(Struct, frozen=True):
    """One server's files."""

    directory: Path
    server: str

    @property
    def live(self) -> Path:
        """The console of a server that exists."""
        return self.directory / self.server

    @property
    def ended(self) -> Path:
        """The console of a server that is gone."""
        return self.directory / f"{self.server}.ended"

    @property
    def progress(self) -> Path:
        """How far it is stored."""
        return self.directory / f"{self.server}.stored"

    def last_part(self) -> Part:
        """The part that was stored last, or was about to be."""
        try:
            return msgspec.json.decode(self.progress.read_bytes(), type=Part)
        except (FileNotFoundError, msgspec.DecodeError):
            return Part()

    def read(self, start: int, end: int | None = None) -> bytes:
        """Bytes of the console, at most `PART`, up to the end of a line while more may come."""
        ended = self.ended.exists()
        try:
            with (self.ended if ended else self.live).open("rb") as file:
                file.seek(start)
                if end is not None:
                    return file.read(end - start)
                content = file.read(PART)
        except FileNotFoundError:  # renamed this very moment: the next look finds it
            return b""
        if ended and len(content) < PART:
            return content
        cut = content.rfind(b"\n") + 1
        return content[:cut] if cut or len(content) < PART else content

    def remove(self) -> None:
        """All of it is stored, and no more will come."""
        self.ended.unlink(missing_ok=True)
        self.progress.unlink(missing_ok=True)


class Consoles:
    """The consoles below a directory. `find` gives a server's id in the store, `now` microseconds since 1970."""

    def __init__(self, directory: Path, find: Callable[[str], int | None], sink: Sink, now: Callable[[], int]) -> None:
        self._directory = directory
        self._find = find
        self._sink = sink
        self._now = now
        self._settled: dict[str, Part] = {}

    async def run(self) -> None:
        """Store lines as they are written, until cancelled."""
        while True:
            # What is not stored now (a full disk) is in its file still: the next look tries again.
            await self.sweep()
            await asyncio.sleep(INTERVAL)

    async def sweep(self) -> None:
        """Store what is there now."""
        for name in await asyncio.to_thread(self._names):
            with contextlib.suppress(Problem, OSError):
                await self._store(Console(self._directory, name))

    async def _store(self, console: Console) -> None:
        number = self._find(console.server)
        if number is None:
            return
        ended = console.ended.exists()  # asked first: then what is read below is read to its very end
        part = self._settled.get(console.server)
        if part is None:
            part = console.last_part()
            await self._send(number, console.read(part.start, part.end), part)
        while content := console.read(part.end):
            self._settled.pop(console.server, None)
            part = Part(part.end, part.end + len(content), self._now())
            await asyncio.to_thread(write_atomically, console.progress, msgspec.json.encode(part))
            await self._send(number, content, part)
            self._settled[console.server] = part
        self._settled[console.server] = part
        if ended:
            console.remove()
            del self._settled[console.server]

    async def _send(self, number: int, content: bytes, part: Part) -> None:
        body = b"\n".join(journal_lines(content, part))
        if body:
            await self._sink(number, body, part.at)

    def _names(self) -> list[str]:
        try:
            names = {path.name.removesuffix(".ended") for path in self._directory.iterdir()}
        except FileNotFoundError:
            return []
        return sorted(name for name in names if NAME.fullmatch(name))


def journal_lines(content: bytes, part: Part) -> list[bytes]:
    """A part of a console as a shipper would send it: a line of JSON each, named by its place in the console."""
    lines = []
    place = part.start
    for number, raw in enumerate(content.split(b"\n")):
        message = plain(raw.decode(errors="replace"))
        if message:
            fields = {
                "__CURSOR": f"{UNIT};o={place:x}",
                "__REALTIME_TIMESTAMP": str(part.at + number),
                "_SYSTEMD_UNIT": UNIT,
                "PRIORITY": "0" if PANIC in message else "6",
                "MESSAGE": message,
            }
            lines.append(msgspec.json.encode(fields))
        place += len(raw) + 1
    return lines
