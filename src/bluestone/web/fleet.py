"""What the first page shows of the fleet: as `status`, `events` and the last look of `exposures` tell it. Read only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app.fleet.status import Status, status
from bluestone.app.hours.cost import spent
from bluestone.app.patch import looks
from bluestone.app.project import Project
from bluestone.model.event import Event
from bluestone.model.problem import Problem, Problems
from bluestone.patch.history import Look

EVENTS = 12
T = TypeVar("T")


class Cost(Struct, frozen=True):
    """What this month cost so far, of a budget; as text, with the currency."""

    spent: str
    budget: str
    saved: str


class Overview(Struct, frozen=True):
    """The fleet now; of what cannot be told there is the trouble instead."""

    status: Status | None
    events: tuple[Event, ...]
    look: Look | None
    cost: Cost | None
    troubles: tuple[str, ...]


def overview(project: Project) -> Overview:
    """Look once. Each part stands for itself: without podman the exposures are still shown."""
    troubles: list[str] = []

    def tried(part: Callable[[Project], T]) -> T | None:
        try:
            return part(project)
        except (Problem, Problems, OSError) as trouble:
            troubles.append(getattr(trouble, "what", "") or str(trouble))
            return None

    try:
        return Overview(
            status=tried(status),
            events=tuple(tried(_events) or ()),
            look=tried(lambda opened: looks.last(opened.state)),
            cost=tried(_cost),
            troubles=tuple(dict.fromkeys(troubles)),
        )
    finally:
        if "journal" in project.__dict__:
            project.journal.close()


def anew(project: Project) -> Project:
    """The project as its file says now, or said when it was last right; with a journal of its own, for one thread."""
    found, _ = Project.open_as_it_was(project.file)
    return replace(found, home=project.home, caller=project.caller)


def _events(project: Project) -> list[Event]:
    return project.journal.events(limit=EVENTS)[::-1]


def _cost(project: Project) -> Cost | None:
    found = spent(project, datetime.now(UTC))
    if found is None:
        return None
    policy, bill = found
    return Cost(
        f"{float(bill.ledger.total):,.2f} {bill.currency}",
        f"{float(policy.budget or 0):,.2f} {bill.currency}",
        f"{float(bill.saved):,.2f} {bill.currency}",
    )
