"""Where bluestone keeps its things on this machine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from msgspec import Struct

from bluestone.host.files import write_atomically
from bluestone.model.problem import Problem

MAX_SOCKET_PATH = 107
"""Longest path of a unix socket, in bytes (`sun_path` in unix(7), less the closing NUL)."""


class Home(Struct, frozen=True):
    """bluestone's directories: `state` outlives a reboot, `run` (sockets, pid files) need not."""

    state: Path
    run: Path

    @classmethod
    def find(cls, environment: dict[str, str] | None = None) -> Home:
        """`$BLUESTONE_HOME`, else the places that the XDG base directory specification names."""
        env = dict(os.environ) if environment is None else environment
        if chosen := env.get("BLUESTONE_HOME"):
            home = Path(chosen).absolute()
            return cls(state=home, run=home / "run")
        state = Path(env.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "bluestone"
        if os.getuid() == 0:
            return cls(state=state, run=Path("/run/bluestone"))
        runtime = env.get("XDG_RUNTIME_DIR")
        return cls(state=state, run=Path(runtime) / "bluestone" if runtime else state / "run")

    @property
    def host(self) -> str:
        """This machine's own number, made at random on first use: machines of one name are told apart by it."""
        path = private_directory(self.state) / "host"
        if not path.exists():
            write_atomically(path, secrets.token_hex(8).encode())
        return path.read_text()

    @property
    def images(self) -> Path:
        """The image store, shared by all projects."""
        return self.state / "images"

    def project(self, name: str) -> Path:
        """A project's journal, logs and keys; made if missing, for the owner alone."""
        return private_directory(self.state / "projects" / name)

    def runtime(self, name: str) -> Path:
        """A project's sockets and pid files; made if missing, for the owner alone."""
        return private_directory(self.run / name)


def private_directory(path: Path) -> Path:
    """Make a directory that only its owner may enter, and those above it that are missing, for the owner too."""
    try:
        for above in reversed([path, *path.parents]):
            above.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Problem(
            f"cannot make the directory {path}: {error.strerror}",
            mend="make it writable for you, or set BLUESTONE_HOME to a directory that is",
        ) from error
    return path


def socket_path(path: Path) -> Path:
    """The path of a unix socket, refused when the kernel could not take it."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise Problem(
            f"the path of a socket is too long for the kernel ({MAX_SOCKET_PATH} bytes): {path}",
            mend="set BLUESTONE_HOME to a shorter path",
        )
    return path
