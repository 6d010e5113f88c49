"""How exposed a project was over time: a file of lines, one for each look that differs from the one before."""

from __future__ import annotations

import os
from pathlib import Path

from bluestone.app.project import Project
from bluestone.host.files import write_atomically
from bluestone.model.exposure import AFFECTED
from bluestone.patch.board import Board
from bluestone.patch.history import MOST, Look, is_news, line, parse

FILE = "exposures"


def read(project: Project) -> list[Look]:
    """The looks that were kept, the oldest first."""
    return parse(_lines(project.state / FILE))


def last(state: Path) -> Look | None:
    """The newest look of the project whose state is there, if there was one."""
    found = parse(_lines(state / FILE)[-2:])
    return found[-1] if found else None


def note(project: Project, board: Board) -> None:
    """Keep what a look at all groups came to. Raises `Problem` on a full disk."""
    found = board.assessment
    images = {each.image for each in found.exposures if each.verdict in AFFECTED}
    look = Look(
        at=found.at,
        counts={standing: count for standing, count in board.tally().items() if count},
        outcome=found.outcome,
        servers=sum(len(found.servers.get(image, ())) for image in images),
        oldest=min((each.since for each in found.exposures if each.since and each.fixed), default=None),
        feeds={state.name: state.complete for state in found.feeds},
    )
    path = project.state / FILE
    if not is_news(look, last(project.state)):
        return
    lines = _lines(path)
    if len(lines) >= MOST + MOST // 10:
        write_atomically(path, b"".join(lines[-MOST:]) + line(look))
        return
    # A line is written at once, and half of one, should the machine stop meanwhile, is passed over.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write((b"" if not lines or lines[-1].endswith(b"\n") else b"\n") + line(look))


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
