"""May the balancer listen here? And if not, who does?"""

from __future__ import annotations

import contextlib
import errno
import socket
from ipaddress import ip_address
from pathlib import Path

from bluestone.fleet.balancer import Service
from bluestone.model.group import Port
from bluestone.model.problem import Problem

LISTEN = "0A"
"""The state of a listening socket in `/proc/net/tcp` (`TCP_LISTEN` in the kernel's net/tcp_states.h)."""


def check_free(service: Service, port: Port) -> None:
    """Raise `Problem`, naming the port and who holds it, unless this machine lets us listen on it.

    HAProxy would say "cannot bind"; and with SO_REUSEPORT two processes of one user may even share a port,
    each getting a part of the requests. So it is tried without.
    """
    family = socket.AF_INET6 if ip_address(port.bind).version == 6 else socket.AF_INET
    where = f"{port.bind}:{port.listen}"
    key = f"servers.{service.group}.ports"
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((port.bind, port.listen))
    except PermissionError as error:
        raise Problem(
            f"the balancer may not listen on {where}: ports below 1024 are for root",
            mend=f"choose a port above 1023 in {key} of bluestone.toml, or run as root",
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            holder = holder_of(port.listen)
            raise Problem(
                f"the balancer cannot listen on {where}: the port is in use" + (f" by {holder}" if holder else ""),
                mend=f"end that process, or choose another port in {key} of bluestone.toml",
            ) from error
        raise Problem(
            f"the balancer cannot listen on {where}: {error.strerror}",
            mend=f"choose an address of this machine in {key} of bluestone.toml",
        ) from error


def holder_of(port: int, proc: Path = Path("/proc")) -> str | None:
    """Which process listens on a TCP port, as `name (process ID)`; None if that cannot be seen.

    From the socket's inode in `/proc/net/tcp` and `/proc/net/tcp6`, found again in `/proc/PID/fd` (proc(5)).
    """
    tables = (proc / "net" / "tcp", proc / "net" / "tcp6")
    wanted = {f"socket:[{inode}]" for table in tables for inode in _listening(table, port)}
    for process in proc.iterdir():
        # A process may end while it is looked at, and another user's may not be looked into.
        with contextlib.suppress(OSError):
            if process.name.isdigit() and not wanted.isdisjoint(_open_files(process)):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _open_files(process: Path) -> set[str]:
    found = set()
    for descriptor in (process / "fd").iterdir():
        # It may be closed by now, as our own descriptor of this very directory is.
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return found


def _listening(table: Path, port: int) -> list[str]:
    """The inodes of the sockets that listen on a port, from a table in the form of `/proc/net/tcp`."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [row[9] for row in rows if len(row) > 9 and row[3] == LISTEN and int(row[1].rpartition(":")[2], 16) == port]
