"""Which events a person must hear of, how far each was told, and when it is tried again. Pure.

The journal is the queue: an event is *told* to a receiver once a `notice.sent` (or, when the receiver will not have it,
a `notice.lost`) of it stands there. So nothing is lost by a restart, and nothing waits in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from bluestone.model.event import Event

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=5)
"""Waits between attempts; each is twice as long as the one before."""

MOST_REFUSALS = 8
"""How often an event is brought to a receiver that refuses it; one that cannot be reached is tried for ever."""

TOLD = ("notice.began", "notice.sent", "notice.lost")
"""Entries that say how far a receiver was told: their `data` names it (`to`) and the event's number (`event`)."""


def _returned(event: Event) -> bool:
    return event.kind == "rollout.started" and "failed" in event.data


CHOICES: dict[str, Callable[[Event], bool]] = {
    "halted": lambda event: event.kind == "rollout.halted",
    "returned": _returned,
    "paused": lambda event: event.kind == "rollout.paused",
    "tainted": lambda event: event.kind == "server.tainted",
    "quarantined": lambda event: event.kind == "rollout.halted" and bool(event.data.get("declared")),
    "unseen": lambda event: event.kind == "fleet.unseen",
    "seen": lambda event: event.kind == "fleet.seen",
    "died": lambda event: event.kind == "server.died",
    "missed": lambda event: event.kind == "hours.missed",
    "budget": lambda event: event.kind in ("budget.warned", "budget.stopped"),
    "started": lambda event: event.kind == "rollout.started" and not _returned(event),
    "finished": lambda event: event.kind == "rollout.finished",
    "patched": lambda event: event.kind == "patch.closed",
    "unpatched": lambda event: event.kind in ("patch.stopped", "patch.reopened"),
}
"""By the word of the declaration: whether an event is one of that sort."""

KINDS = (
    *("rollout.started", "rollout.finished", "rollout.halted", "rollout.paused"),
    *("server.tainted", "server.died", "fleet.unseen", "fleet.seen"),
    *("hours.missed", "budget.warned", "budget.stopped"),
    *("patch.closed", "patch.stopped", "patch.reopened"),
)
"""The kinds of all events that may be chosen."""


def is_chosen(event: Event, chosen: Collection[str]) -> bool:
    """Whether a person wants to hear of an event."""
    return any(CHOICES[word](event) for word in chosen)


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts in vain."""
    return min(FIRST_RETRY * int(2 ** min(attempts - 1, 16)), LONGEST_RETRY)


def as_data(project: str, event: Event) -> dict[str, Any]:
    """What a receiver is told. `text` is what chat programs show of it."""
    about = event.server or event.group
    what = event.kind.replace(".", " ")
    return {
        "project": project,
        "sequence": event.sequence,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "group": event.group,
        "server": event.server,
        "message": event.message,
        "data": event.data,
        "text": f"bluestone {project}: {what}{f' {about}' if about else ''}: {event.message}",
    }
