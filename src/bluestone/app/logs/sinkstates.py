"""How far the sinks of a project are: what each has, what it has yet to get, and why it takes none."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from bluestone.app.project import Project
from bluestone.logs.behind import lines_behind
from bluestone.logs.forward import place_of, read_reached
from bluestone.logs.query.asked import EPOCH, MICROSECOND


class SinkState(Struct, frozen=True):
    """A declared sink. `taken` lines are there, `refused` of them it would not have, `behind` are yet to come.

    `last` is when it took lines last; `trouble` is why it takes none now.
    """

    name: str
    kind: str
    taken: int
    refused: int
    behind: int
    last: datetime | None
    trouble: str


def sink_states(project: Project) -> list[SinkState]:
    """All sinks that are declared, by name. Raises `Problem`."""
    found = []
    for sink in sorted(project.declaration.sinks, key=lambda each: each.name):
        reached = read_reached(place_of(project.logs, sink.name))
        last = EPOCH + reached.taken_at * MICROSECOND if reached.taken_at else None
        behind = lines_behind(project.logs, reached)
        found.append(
            SinkState(
                sink.name, sink.kind, reached.lines - reached.refused, reached.refused, behind, last, reached.trouble
            )
        )
    return found
