"""`logs reads`: who read which lines through the web page and the API."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from msgspec import Struct

from bluestone.app.project import Project
from bluestone.logs.moments import parse_moment
from bluestone.logs.reads import FIRST, Read, Reads


class Shown(Struct, frozen=True):
    """The newest reads that were asked for, the oldest first; of `total` in all, whose chain is whole up to `head`."""

    reads: tuple[Read, ...]
    total: int
    head: str


def reads_of(project: Project) -> Reads:
    """The reads of a project."""
    return Reads(project.state / "reads")


def reads(project: Project, who: str | None = None, since: str | None = None, most: int = 100) -> Shown:
    """The newest reads, of one user or since a moment. All are checked. Raises `Problem` where they are broken."""
    begin = parse_moment(since, datetime.now().astimezone()) if since else None
    found: deque[Read] = deque(maxlen=most)
    total, head = 0, FIRST
    for read in reads_of(project).all():
        total, head = read.number, read.digest
        if who in (None, read.who) and (begin is None or read.at >= begin):
            found.append(read)
    return Shown(tuple(found), total, head)
