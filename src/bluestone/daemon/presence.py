"""Whether a daemon leads a project, and what it tells of itself. Loads little: every `status` asks."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from bluestone.app.project import Project

SOCKET = "daemon.sock"


class Leading(msgspec.Struct, frozen=True):
    """A daemon, as it tells of itself. Instants in UTC; `last_tick` is None before the first.

    `epoch` is that of its lease, 0 while it stands by for another controller that leads. `works_on` is the command that
    it carries out, empty if none; `trouble` what keeps it from its work.
    """

    project: str
    pid: int
    version: str
    since: datetime
    last_tick: datetime | None
    epoch: int
    works_on: str
    trouble: str


def socket_of(project: Project) -> Path:
    """Where a project's daemon listens."""
    return project.runtime / SOCKET


def find(project: Project) -> Leading | None:
    """What a project's daemon tells of itself; None if none answers."""
    answer = _ask(project, "GET", "/v1/daemon")
    try:
        return msgspec.json.decode(answer, type=Leading) if answer else None
    except msgspec.DecodeError:
        return None


def wake(project: Project) -> None:
    """Have a project's daemon, if there is one, look at once. Without an answer it looks by itself soon enough."""
    _ask(project, "POST", "/v1/wake")


def _ask(project: Project, method: str, path: str) -> bytes | None:
    if not socket_of(project).exists():
        return None
    from http.client import HTTPException

    from bluestone.daemon.connection import Connection

    try:
        with closing(Connection(socket_of(project))) as connection:
            connection.request(method, path)
            return connection.getresponse().read()
    except (OSError, HTTPException):
        return None
