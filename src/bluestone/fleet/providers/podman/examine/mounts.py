"""What is mounted in a container, as the kernel says it of the container's init (proc_pid_mountinfo(5)). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from msgspec import Struct

OWN = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp")  # noqa: S108 - paths on the server
"""Where the container engine and systemd mount as they please; nothing of the image is below."""

BY_PODMAN = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
"""Files that podman lays over those of the image."""


class Mount(Struct, frozen=True):
    """One line. `device` is `major:minor`; `options` are the mount's own, `data` those of its file system."""

    device: str
    point: str
    options: frozenset[str]
    kind: str
    data: dict[str, str]


def read_mounts(text: str) -> list[Mount]:
    """The lines of a mountinfo file, those that cover others after them."""
    return [_mount(line) for line in text.splitlines() if " - " in line]


def root_of(mounts: Sequence[Mount]) -> Mount | None:
    """What is mounted at `/`: the last that was."""
    return next((mount for mount in reversed(mounts) if mount.point == "/"), None)


def covering(mounts: Sequence[Mount], path: str) -> Mount | None:
    """The mount that a path is on: the one with the longest point, of those the last."""
    found: Mount | None = None
    for mount in mounts:
        if is_below(path, mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def unexpected(mounts: Sequence[Mount], asked: Collection[str]) -> list[Mount]:
    """Those that hide a part of the image, and that the server did not have when it was started."""
    known = {*asked, *BY_PODMAN, "/"}
    return [m for m in mounts if m.point not in known and not any(is_below(m.point, own) for own in OWN)]


def is_below(path: str, directory: str) -> bool:
    """Whether a path is a directory or in it."""
    return directory == "/" or path == directory or path.startswith(directory + "/")


def _mount(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields, (kind, _, data) = before.split(" "), (*after.split(" "), "", "")[:3]
    options = frozenset(fields[5].split(","))
    pairs = (option.partition("=") for option in data.split(","))
    return Mount(fields[2], _plain(fields[4]), options, kind, {name: _plain(value) for name, _, value in pairs})


def _plain(text: str) -> str:
    """Space, tab, line break and backslash are written in octal."""
    plain = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
    return str(PurePosixPath(plain)) if plain.startswith("/") else plain
