"""What servers are handed at their start, one directory each, and the lock under which they are made."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from bluestone.fleet.providers.turns import turn
from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.model.ids import NAME
from bluestone.model.problem import Problem

PATIENCE = 60.0
"""Seconds to wait for others that create a server at the same time; each takes a fraction of one."""


class Directories:
    """The directories of a project's servers, below `base`, which its owner alone may enter."""

    def __init__(self, base: Path) -> None:
        self._base = base

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let nobody else choose an address or write here meanwhile. Raises `Problem` after `PATIENCE`."""
        with turn(self._base, PATIENCE):
            yield

    def home(self, server: str) -> Path:
        """Where a server's monitor works: it leaves a file there where memory ran out."""
        return self._of(server)

    def bootfiles(self, server: str) -> Path:
        """What the server sees as `/run/bluestone`."""
        return self._of(server) / "boot"

    def machine_id(self, server: str) -> Path:
        """What the server sees as `/etc/machine-id`."""
        return self._of(server) / "machine-id"

    def write(self, project: str, server: str, bootfiles: Mapping[str, bytes]) -> None:
        """Write what the server is handed, readable by root alone. Raises `Problem`; nothing is left then."""
        try:
            for directory in (self._base, self._of(server), self.bootfiles(server)):
                private_directory(directory)
            for name, content in bootfiles.items():
                path = self.bootfiles(server) / _relative(name)
                private_directory(path.parent)
                write_atomically(path, content, mode=0o400)
            write_atomically(self.machine_id(server), machine_id(project, server).encode() + b"\n", mode=0o444)
        except Problem:
            self.remove(server)
            raise

    def stamp(self) -> int:
        """Changes when a server's directory comes or goes, whoever makes or removes it. Nanoseconds; 0 for none."""
        try:
            return self._base.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def has(self, server: str) -> bool:
        """Whether a server has a directory."""
        return self._of(server).exists()

    def remove(self, server: str) -> None:
        """Remove a server's directory, if it is there."""
        shutil.rmtree(self._of(server), ignore_errors=True)

    def sweep(self, servers: Collection[str]) -> None:
        """Remove the directories of all but these servers: what a crash left behind."""
        for path in self._base.iterdir():
            if path.is_dir() and path.name not in servers:
                shutil.rmtree(path, ignore_errors=True)

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._base, ignore_errors=True)

    def _of(self, server: str) -> Path:
        if not NAME.fullmatch(server):
            raise Problem(f'"{server}" is not the name of a server', mend="see `bluestone servers`")
        return self._base / server


def machine_id(project: str, server: str) -> str:
    """The 128 bits of machine-id(5) in hexadecimal: names are never used twice, so nor is this."""
    return hashlib.sha256(f"{project}/{server}".encode()).hexdigest()[:32]


def _relative(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise Problem(f'the boot file "{name}" is outside of /run/bluestone', mend="use a relative path")
    return path
