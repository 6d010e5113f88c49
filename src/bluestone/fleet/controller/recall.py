"""The journal's events -> the memory that planning needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bluestone.fleet.controller.journal import Journal
from bluestone.model.action import PAST
from bluestone.model.event import Event
from bluestone.model.memory import Failures, Memory

START_OR_END = ("rollout.started", "rollout.finished", "rollout.halted")
"""Events between which a rollout is under way."""

_OUTCOMES = ("action.failed", *(f"server.{past}" for past in PAST.values()))

CREATE_WINDOW = timedelta(seconds=10)
"""How long a create without a known outcome may still take effect: a call can outlive its caller."""


def recall(journal: Journal, groups: Iterable[str], servers: Sequence[str]) -> Memory:
    """What the journal knows of these groups' current rollouts and of these servers."""
    rollouts = {group: _rollout(journal, group) for group in groups}
    detached, down, condemned, died = {}, {}, set(), set()
    for server in servers:
        kinds = {event.kind: event for event in reversed(journal.select(_SERVER_KINDS, server=server))}
        if (detach := kinds.get("server.detach")) and not _later(kinds.get("server.attach"), detach):
            detached[server] = detach.at
        if (fell := kinds.get("server.down")) and not _later(kinds.get("server.up"), fell):
            down[server] = fell.at
        if "server.destroy" in kinds:
            condemned.add(server)
        if "server.died" in kinds:
            died.add(server)
    return Memory(
        next_incarnation=journal.next_incarnation(),
        detached_at=detached,
        down_since=down,
        condemned=frozenset(condemned),
        died=frozenset(died),
        deaths={group: rollout.deaths for group, rollout in rollouts.items()},
        started_at={group: r.started_at for group, r in rollouts.items() if r.started_at},
        settled_at={group: r.settled_at for group, r in rollouts.items() if r.settled_at},
        halted={group: r.halted for group, r in rollouts.items() if r.halted},
        failures={group: r.failures for group, r in rollouts.items() if r.failures},
    )


@dataclass(frozen=True)
class UnbornServer:
    """A create that was recorded, and of whose end nothing is known."""

    server: str
    group: str
    slot: int
    incarnation: int
    generation: int
    at: datetime


def unresolved_creates(journal: Journal, now: datetime) -> list[UnbornServer]:
    """Creates begun within `CREATE_WINDOW` without a recorded outcome: whoever began them was killed."""
    outcomes = ("server.created", "action.failed", "action.refused", "action.lost")
    recent = [e for e in journal.select(("server.create",), newest=64) if e.at > now - CREATE_WINDOW]
    return [
        UnbornServer(e.server, e.group, e.data["slot"], e.data["incarnation"], e.data["generation"], e.at)
        for e in recent
        if journal.last(outcomes, server=e.server) is None
    ]


_SERVER_KINDS = (
    "server.attach",
    "server.detach",
    "server.down",
    "server.up",
    "server.destroy",
    "server.died",
)


@dataclass(frozen=True)
class _Rollout:
    deaths: int
    started_at: datetime | None
    settled_at: datetime | None
    halted: str
    failures: Failures | None


def _rollout(journal: Journal, group: str) -> _Rollout:
    """A group's rollout since it was last started."""
    start = journal.last(("rollout.started",), group=group)
    after = start.sequence if start else 0
    died = journal.select(("server.died",), group=group, after=after)
    settled = journal.select(("rollout.settled",), group=group, after=after)
    halted = journal.select(("rollout.halted",), group=group, after=after, newest=1)
    return _Rollout(
        deaths=len(died),
        started_at=start.at if start else None,
        settled_at=settled[-1].at if settled else None,
        halted=halted[0].message if halted else "",
        failures=_failures(journal, group, after),
    )


def _failures(journal: Journal, group: str, after: int) -> Failures | None:
    """The longest row of failures of one verb that no success has ended.

    By verb, as what was begun in vain is destroyed, which works: between two creates that fail there is a success.
    """
    rows: dict[str, list[Event]] = {}
    ended: set[str] = set()
    for event in journal.select(_OUTCOMES, group=group, after=after):
        verb = event.data.get("verb", "")
        if event.kind != "action.failed":
            ended.add(verb)
        elif verb not in ended:
            rows.setdefault(verb, []).append(event)
    row = max(rows.values(), key=len, default=[])
    return Failures(len(row), row[0].at, row[0].message) if row else None


def _later(event: Event | None, than: Event) -> bool:
    return event is not None and event.sequence > than.sequence
