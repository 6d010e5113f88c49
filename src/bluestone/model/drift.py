"""What a server was found to be like, and where that differs from its image."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

Aspect = Literal["files", "packages", "processes", "units", "logins", "clock"]
"""What is examined of a server."""

ASPECTS: tuple[Aspect, ...] = ("files", "packages", "processes", "units", "logins", "clock")


class FileChange(Struct, frozen=True):
    """A path of the root file system that is not as the image has it, and since when (`at`).

    `how`: added, changed, removed; `covered` by a mount that the server did not have at its start; `writable`: the
    root file system is not read-only any more, and should be.
    """

    path: str
    how: Literal["added", "changed", "removed", "covered", "writable"]
    at: datetime | None = None


class PackageChange(Struct, frozen=True):
    """A package that is not installed as in the image; a version that is empty means that it is not there."""

    name: str
    in_image: str
    on_server: str
    at: datetime | None = None


Origin = Literal["image", "writable", "deleted"]
"""Where an executable comes from: the image; a place that is writable (memory, a volume), or where it was changed; a
file that was deleted, or that exists in memory alone."""


class Process(Struct, frozen=True):
    """A running process. `pid` is the one that it has on the server, `unit` the systemd unit that it is in, if any.

    `origin` is that of its executable.
    """

    pid: int
    executable: str
    origin: Origin
    unit: str = ""
    user: int = 0
    started_at: datetime | None = None


class FailedUnit(Struct, frozen=True):
    """A systemd unit in the state `failed`, and why (`result`, in systemd's own word)."""

    name: str
    result: str
    since: datetime | None = None


class Login(Struct, frozen=True):
    """Somebody ran something on the server, or attached to its console. `who` is the user of this machine, if known."""

    at: datetime | None
    how: str
    who: str = ""


class Unseen(Struct, frozen=True):
    """An aspect of a server that was not examined, or not as a whole, and why."""

    aspect: Aspect
    why: str


class Examination(Struct, frozen=True):
    """A running server as it was found from outside, without entering it.

    `clock` is by how many seconds the server's clock is ahead of this machine's; None if that is not known. What is
    neither in here nor in `unseen` is as the image says.
    """

    server: str
    at: datetime
    files: tuple[FileChange, ...] = ()
    packages: tuple[PackageChange, ...] = ()
    processes: tuple[Process, ...] = ()
    units: tuple[FailedUnit, ...] = ()
    logins: tuple[Login, ...] = ()
    clock: float | None = None
    unseen: tuple[Unseen, ...] = ()


class Bystander(Struct, frozen=True):
    """Something beside the servers, on their network, that bears no mark of bluestone. `what` is for a person."""

    name: str
    what: str


class Drift(Struct, frozen=True):
    """One difference between a server and its image.

    `subject` (a path, a unit, a package) names it: two of the same aspect and subject are the same drift. `what` is a
    sentence without its end, for a person. `last` is when it last came anew, if it comes and goes, as logins do.
    """

    aspect: Aspect
    subject: str
    what: str
    since: datetime | None = None
    last: datetime | None = None
