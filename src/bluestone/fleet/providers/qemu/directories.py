"""The directories of a project's virtual machines, and the lock under which they are made.

BASE/.lock             held by whoever makes or removes one
BASE/SERVER/record     what the server is: with this file, it exists
BASE/SERVER/boot       what it is handed at its start, secrets among it; for the owner alone
BASE/SERVER/pid        which process QEMU is (and when that started)
BASE/SERVER/monitor    QEMU's unix socket
BASE/SERVER/output     what QEMU itself says
BASE/SERVER/stopping   somebody has asked it to stop
CONSOLES/SERVER        what the server's console shows; CONSOLES/SERVER.ended once the server is gone
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from bluestone.fleet.providers.qemu import records
from bluestone.fleet.providers.qemu.records import Record
from bluestone.fleet.providers.turns import turn
from bluestone.host.daemons import Daemon
from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory, socket_path
from bluestone.host.terminal import plain_lines
from bluestone.model.ids import NAME
from bluestone.model.problem import Problem

PATIENCE = 60.0
"""Seconds to wait for others that make a server at the same time; each takes a fraction of one."""

TAIL = 256 << 10
"""Bytes at the end of a console that are looked at."""


class Home(Struct, frozen=True):
    """One server's files."""

    directory: Path
    console: Path

    @property
    def name(self) -> str:
        """The server's name."""
        return self.directory.name

    @property
    def boot(self) -> Path:
        """The disk of what it is handed."""
        return self.directory / "boot"

    @property
    def monitor(self) -> Path:
        """QEMU's monitor. Raises `Problem` where the kernel cannot take so long a path."""
        return socket_path(self.directory / "monitor")

    @property
    def stopping(self) -> Path:
        """Exists once somebody has asked the server to stop."""
        return self.directory / "stopping"

    @property
    def daemon(self) -> Daemon:
        """QEMU as a process."""
        return Daemon(f"the virtual machine {self.name}", self.directory / "pid", self.directory / "output")

    def record(self) -> Record | None:
        """What the server is; None if there is no such server. Raises `Problem` for a damaged record."""
        path = self.directory / "record"
        try:
            return records.read(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None

    def write(self, record: Record, boot: bytes) -> None:
        """Make the server exist, not started: the record comes last. Raises `Problem`; nothing is left then."""
        try:
            private_directory(self.directory)
            private_directory(self.console.parent)
            write_atomically(self.boot, boot, mode=0o400)
            write_atomically(self.directory / "record", records.write(record))
        except Problem:
            self.remove()
            raise

    def console_tail(self) -> list[str]:
        """The last lines on the console."""
        try:
            with self.console.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                return plain_lines(file.read())
        except FileNotFoundError:
            return []

    def remove(self) -> None:
        """Remove the server's files, its record last, so that a crash in between leaves a server to destroy.

        The console is left for whoever stores it.
        """
        with suppress(FileNotFoundError):
            self.console.rename(self.console.with_name(f"{self.name}.ended"))
        with suppress(FileNotFoundError):
            for path in self.directory.iterdir():
                if path.name != "record":
                    path.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)


class Directories:
    """The servers' directories below `base`, which its owner alone may enter, and their `consoles`."""

    def __init__(self, base: Path, consoles: Path) -> None:
        self._base = base
        self._consoles = consoles

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let nobody else choose ports or start servers meanwhile. Raises `Problem` after `PATIENCE`."""
        with turn(self._base, PATIENCE):
            yield

    def of(self, server: str) -> Home:
        """A server's files, whether there are any or not. Raises `Problem` for what is no server's name."""
        if not NAME.fullmatch(server):
            raise Problem(f'"{server}" is not the name of a server', mend="see `bluestone servers`")
        return Home(self._base / server, self._consoles / server)

    def all(self) -> list[tuple[Home, Record]]:
        """Every server that exists. Raises `Problem` for a damaged record."""
        found = []
        for home in self._homes():
            record = home.record()
            if record is not None:
                found.append((home, record))
        return found

    def sweep(self) -> None:
        """Remove directories without a record: what a crash left before the server existed, or of its removal.

        The directories of servers that ran when this machine was switched off may be gone by themselves, as they should
        be in memory: no more comes to their consoles either.
        """
        for home in self._homes():
            if home.record() is None and home.daemon.pid() is None:
                home.remove()
        for console in self._live_consoles():
            if not self.of(console.name).directory.exists():
                console.rename(console.with_name(f"{console.name}.ended"))

    def clear(self) -> None:
        """Remove everything but consoles, which wait for whoever stores them."""
        shutil.rmtree(self._base, ignore_errors=True)

    def _live_consoles(self) -> list[Path]:
        try:
            return [path for path in self._consoles.iterdir() if NAME.fullmatch(path.name)]
        except FileNotFoundError:
            return []

    def _homes(self) -> list[Home]:
        try:
            names = sorted(path.name for path in self._base.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []
        return [self.of(name) for name in names if NAME.fullmatch(name)]
