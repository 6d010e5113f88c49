"""The processes of containers, looked at through this machine's /proc: nothing is run on a server for it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from bluestone.fleet.providers.podman.examine.mounts import Mount, covering, read_mounts, root_of
from bluestone.model.drift import Login, Origin, Process, Unseen
from bluestone.model.path import shown

PROC = Path("/proc")
DELETED = " (deleted)"
NOBODY = 2**32 - 1
"""The login of a process that stems from none (`(uid_t) -1`, proc_pid_loginuid(5))."""

_CONTAINER = re.compile(r"libpod-([0-9a-f]{64})(?![0-9a-f])")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope|socket|mount|swap))(?:/|$)")


@dataclass
class Inside:
    """What runs in one container: `processes` of its own, and who `entered` it from this machine."""

    processes: list[Process] = field(default_factory=list)
    entered: list[Login] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)


class Init(Struct, frozen=True):
    """A container's init: its process id here, and the overlay that is its root. `upper` is where changes go."""

    pid: int
    root: Mount
    upper: Path | None


def scan(inits: Mapping[str, Init]) -> dict[str, Inside]:
    """What runs in the containers of these ids. One look at all processes of this machine."""
    found = {container: Inside() for container in inits}
    namespaces = {
        link: container
        for container, init in inits.items()
        for kind in ("pid", "mnt")
        if (link := _link(init.pid, kind))
    }
    look = _Look(_booted())
    for name in os.listdir(PROC):  # noqa: PTH208 - names are all that is needed
        if not name.isdigit():
            continue
        pid = int(name)
        groups = _read(pid, "cgroup")
        container = next((match[1] for match in _CONTAINER.finditer(groups) if match[1] in found), None)
        if container is not None:
            look.at(pid, groups, inits[container], found[container])
            continue
        links = (_link(pid, kind) for kind in ("pid", "mnt"))
        entered = next((namespaces[link] for link in links if link in namespaces), None)
        if entered is not None:
            found[entered].entered.append(_login(pid, look.booted))
    return found


def is_in(pid: int, container: str) -> bool:
    """Whether a process is one of the container with this id."""
    return any(match[1] == container for match in _CONTAINER.finditer(_read(pid, "cgroup")))


def lives(pid: int) -> bool:
    """Whether there is a process of this number."""
    return Path(PROC, str(pid)).exists()


def mounts_of(pid: int) -> list[Mount]:
    """What a process sees mounted; nothing if it has ended."""
    return read_mounts(_read(pid, "mountinfo"))


def origin(executable: str, mounts: list[Mount], init: Init) -> Origin:
    """Where an executable comes from, as `Process.origin` has it. `mounts` are those that its process sees."""
    if executable.endswith(DELETED):
        return "deleted"
    mount = covering(mounts, executable)
    if mount is None or mount.device != init.root.device:
        return "writable"
    changed = init.upper is not None and os.path.lexists(init.upper / executable.lstrip("/"))
    return "writable" if changed else "image"


@dataclass
class _Look:
    """One look at many processes, most of which see the same mounts. `booted` in seconds since 1970."""

    booted: float
    mounts: dict[str, list[Mount]] = field(default_factory=dict)

    def at(self, pid: int, groups: str, init: Init, inside: Inside) -> None:
        """Add a process of a container, unless it has just ended."""
        try:
            executable = str((PROC / str(pid) / "exe").readlink())
        except FileNotFoundError:
            return
        except OSError as error:
            why = Unseen("processes", f"some cannot be looked at: {error.strerror}")
            if why not in inside.unseen:
                inside.unseen.append(why)
            return
        mounts = self._mounts(pid)
        if root_of(mounts) is None:
            return
        status = dict(line.split(":\t", 1) for line in _read(pid, "status").splitlines() if ":\t" in line)
        inside.processes.append(
            Process(
                pid=int(status.get("NSpid", str(pid)).split()[-1]),
                executable=shown(executable.removesuffix(DELETED)),
                origin=origin(executable, mounts, init),
                unit=shown(_unit(groups)),
                user=int(status.get("Uid", "0").split()[0]),
                started_at=_started(pid, self.booted),
            )
        )

    def _mounts(self, pid: int) -> list[Mount]:
        namespace = _link(pid, "mnt")
        if namespace not in self.mounts:
            self.mounts[namespace] = mounts_of(pid)
        return self.mounts[namespace]


def _login(pid: int, booted: float) -> Login:
    name = shown(_read(pid, "comm").strip())
    login = _read(pid, "loginuid").strip()
    who = f"user {login} of this machine" if login.isdigit() and int(login) != NOBODY else ""
    return Login(_started(pid, booted), f"entered from this machine ({name})", who)


def _unit(groups: str) -> str:
    """The unit that a process is in: the innermost in systemd's own hierarchy, or in the one there is."""
    paths = [
        line.split(":", 2)[2] for line in groups.splitlines() if ":name=systemd:" in line or line.startswith("0::")
    ]
    below = (_CONTAINER.split(path)[-1] for path in paths)
    return next((found[-1] for path in below if (found := _UNIT.findall(path)) and found != ["init.scope"]), "")


def _booted() -> float:
    """When this machine was started, in seconds since 1970."""
    lines = (PROC / "stat").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("btime ")))


def _started(pid: int, booted: float) -> datetime | None:
    stat = _read(pid, "stat")
    if ")" not in stat:
        return None
    ticks = int(stat[stat.rindex(")") + 2 :].split()[19])
    return datetime.fromtimestamp(booted + ticks / os.sysconf("SC_CLK_TCK"), UTC)


def _link(pid: int, namespace: str) -> str:
    try:
        return str((PROC / str(pid) / "ns" / namespace).readlink())
    except OSError:
        return ""


def _read(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_text(errors="surrogateescape")
    except OSError:
        return ""
