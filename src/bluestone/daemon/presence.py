"""Whether a daemon leads a project, and what it tells of itself. Loads little: every `status` asks."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bluestone.model.problem import Problem

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
    """What a project's daemon tells of itself; None if there is none. Raises `Problem` for one that does not answer."""
    try:
        answer = _ask(project, "GET", "/v1/daemon")
        return msgspec.json.decode(answer, type=Leading) if answer else None
    except TimeoutError:
        raise Problem(
            f"the daemon of {project.name} runs, and does not answer",
            mend=f"see what it says (journalctl -u bluestone-{project.name}), or start it anew",
        ) from None
    except msgspec.DecodeError:
        return None


def wake(project: Project) -> None:
    """Have a project's daemon, if there is one, look at once. Without an answer it looks by itself soon enough."""
    with suppress(TimeoutError):
        _ask(project, "POST", "/v1/wake")


def _ask(project: Project, method: str, path: str) -> bytes | None:
    """The body of an answer; None if nobody listens. Raises `TimeoutError`."""
    if not socket_of(project).exists():
        return None
    from http.client import HTTPException

    from bluestone.daemon.connection import Connection

    try:
        with closing(Connection(socket_of(project))) as connection:
            connection.request(method, path)
            return connection.getresponse().read()
    except TimeoutError:
        raise
    except (OSError, HTTPException):
        return None
