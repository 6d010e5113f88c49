"""The journal's events -> the memory that planning needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from bluestone.fleet.brake import CALM, after_death
from bluestone.fleet.controller.journal import Journal
from bluestone.fleet.durations import Durations, measure
from bluestone.fleet.marks import MARKING, Marks
from bluestone.model.action import PAST
from bluestone.model.event import Event
from bluestone.model.inventory import Counters
from bluestone.model.memory import Canary, Failures, Memory, Quarantine, Streak

START_OR_END = ("rollout.started", "rollout.finished", "rollout.halted", "rollout.paused")
"""Events between which a rollout is under way."""

_TIMED = (*(f"server.{past}" for past in PAST.values()), "server.attach", "server.dismiss")

CREATE_WINDOW = timedelta(seconds=10)
"""How long a create without a known outcome may still take effect: a call can outlive its caller."""

LOOKED_AT = 32_768
"""How many of a group's newest creates, destroys and the like are looked at to tell which servers exist."""

MEASURED = 600
"""How many of a group's newest steps the durations are taken from."""

DEATH_WINDOW = timedelta(minutes=10)
"""How long a death counts against a rollout."""

MOST_ANSWERS = 16_384
"""How many answers of the journal are kept: some fifteen for each group."""

_ANY = ""
"""Every group."""

MOST_DEATHS = 4096
"""How many of a group's newest deaths are looked at."""


class Recollection:
    """What was read of the journal, kept until there are newer events of the same kind: a large fleet, or a long
    history, is not read at every tick."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._sequence = journal.head().sequence
        self._marks = Marks()
        self._creates: dict[str, Event] | None = None
        self._outcomes: dict[str, Event] = {}
        self._answers: dict[_Asked, list[Event]] = {}
        self._asked: dict[tuple[str, str], set[_Asked]] = {}

    def refresh(self) -> None:
        """Take in what is new."""
        for event in self._journal.events(after=self._sequence):
            self._sequence = event.sequence
            if event.server in self._marks.servers:
                _follow(self._marks, event)
            if self._creates is not None:
                if event.kind == "server.create":
                    self._creates[event.server] = event
                elif event.kind in _OUTCOMES and event.server in self._creates:
                    self._outcomes[event.server] = event
            for group in (event.group, _ANY):
                for asked in self._asked.pop((group, event.kind), ()):
                    self._answers.pop(asked, None)

    def marks(self, servers: Collection[str]) -> Marks:
        """The marks of these servers, and of no others. They change with the next call."""
        wanted = servers if isinstance(servers, Set) else frozenset(servers)
        for gone in self._marks.servers - wanted:
            self._marks.forget(gone)
        if unknown := wanted - self._marks.servers:
            found = self._journal.newest(MARKING, sorted(unknown))
            self._marks.servers |= unknown
            for kinds in found.values():
                for event in sorted(kinds.values(), key=lambda event: event.sequence):
                    _follow(self._marks, event)
        return self._marks

    def unresolved_creates(self, now: datetime, lag: timedelta = timedelta(0)) -> list[UnbornServer]:
        """Creates whose server may still appear, the newest first.

        One without a recorded outcome may for `CREATE_WINDOW`, as whoever began it was killed; one that has worked, or
        failed, may be missing from the providers' lists for `lag` afterwards.
        """
        self.refresh()
        if self._creates is None:
            recent = _recent(self._journal, ("server.create",), now - CREATE_WINDOW)
            self._creates = {event.server: event for event in reversed(recent)}
            for server, kinds in self._journal.newest(_OUTCOMES, list(self._creates)).items():
                self._outcomes[server] = max(kinds.values(), key=lambda event: event.sequence)
        for server in [server for server, event in self._creates.items() if event.at <= now - CREATE_WINDOW]:
            del self._creates[server]
            self._outcomes.pop(server, None)
        created = reversed(self._creates.values())
        return [_unborn(event) for event in created if _may_appear(self._outcomes.get(event.server), now - lag)]

    def select(
        self, kinds: tuple[str, ...], *, group: str = _ANY, after: int = 0, newest: int | None = None
    ) -> list[Event]:
        """As `Journal.select`."""
        asked = _Asked(kinds, group, after, newest)
        if asked not in self._answers:
            if len(self._answers) > MOST_ANSWERS:
                self._answers.clear()
                self._asked.clear()
            self._answers[asked] = self._journal.select(kinds, group=group, after=after, newest=newest)
            for kind in kinds:
                self._asked.setdefault((group, kind), set()).add(asked)
        return self._answers[asked]

    def last(self, kinds: tuple[str, ...], *, group: str = _ANY) -> Event | None:
        """As `Journal.last`."""
        found = self.select(kinds, group=group, newest=1)
        return found[0] if found else None


class _Asked(NamedTuple):
    kinds: tuple[str, ...]
    group: str
    after: int
    newest: int | None


def recall(
    journal: Journal,
    groups: Iterable[str],
    servers: Collection[str],
    now: datetime,
    recollection: Recollection | None = None,
) -> Memory:
    """What the journal knows of these groups' current rollouts and of these servers.

    With a `recollection` only what is new is read.
    """
    recollection = recollection or Recollection(journal)
    recollection.refresh()
    groups = tuple(groups)
    rollouts = {group: _rollout(recollection, group, now) for group in groups}
    pauses = {group: _pause(recollection, group) for group in ("", *groups)}
    memory = Memory(
        next_incarnation=journal.next_incarnation(),
        deaths={group: rollout.deaths for group, rollout in rollouts.items()},
        started_at={group: r.started_at for group, r in rollouts.items() if r.started_at},
        settled_at={group: r.settled_at for group, r in rollouts.items() if r.settled_at},
        halted={group: r.halted for group, r in rollouts.items() if r.halted},
        failures={group: r.failures for group, r in rollouts.items() if r.failures},
        streaks={group: r.streak for group, r in rollouts.items() if r.streak},
        paused_since={group: r.paused_since for group, r in rollouts.items() if r.paused_since},
        canary={group: r.canary for group, r in rollouts.items() if r.canary},
        full={group: r.full for group, r in rollouts.items() if r.full},
        passed={group: _passed(recollection, group) for group in groups},
        quarantined={group: _quarantined(recollection, group) for group in groups},
        paused={group: pause.message for group, pause in pauses.items() if pause and pause.kind.endswith(".paused")},
        resumed_at={group: p.at for group, p in pauses.items() if group and p and p.kind.endswith(".resumed")},
    )
    return recollection.marks(servers).put_into(memory)


def _follow(marks: Marks, event: Event) -> None:
    marks.follow(event.kind, event.server, event.at, cause=event.data.get("cause", ""), reason=event.message)


def durations(journal: Journal, groups: Iterable[str]) -> Durations:
    """How long the latest steps of these groups' servers took."""
    events = [event for group in groups for event in journal.select(_TIMED, group=group, newest=MEASURED)[::-1]]
    return measure(events)


class UnbornServer(Struct, frozen=True):
    """A create that was recorded, and of whose end nothing is known."""

    server: str
    group: str
    slot: int
    incarnation: int
    generation: int
    at: datetime


def expected(journal: Journal, group: str) -> list[UnbornServer]:
    """The servers of a group that exist by the journal's word: not destroyed, and created (or it is not known).

    A create of which it was said that it failed may have had its effect all the same: whoever was seen since, exists.
    """
    outcomes = ("server.created", "server.destroyed", "action.failed", "action.refused", "action.lost")
    events = journal.select(("server.create", *outcomes, *_SEEN), group=group, newest=LOOKED_AT)
    created = {event.server for event in events if event.kind in ("server.created", *_SEEN)}
    gone = {event.server for event in events if event.kind == "server.destroyed"}
    failed = {event.server for event in events if event.data.get("verb") == "create"} - created
    return [_unborn(e) for e in events if e.kind == "server.create" and e.server not in gone | failed]


def _unborn(create: Event) -> UnbornServer:
    data = create.data
    return UnbornServer(create.server, create.group, data["slot"], data["incarnation"], data["generation"], create.at)


def _may_appear(outcome: Event | None, listed: datetime) -> bool:
    """Whether a server may, by the newest event of `_OUTCOMES` that it has."""
    if outcome is None:
        return True
    tried = outcome.kind in ("server.created", "action.failed") and outcome.data.get("verb", "create") == "create"
    return tried and NO_ROOM not in outcome.data and outcome.at > listed


NO_ROOM = "no_room"
"""In what is recorded of a create that failed: the size and zone for which its provider had no room."""

_SEEN = ("server.enrol", "server.tainted")
"""What is written down only of servers that a list has shown."""

_OUTCOMES = ("server.created", "action.failed", "action.refused", "action.lost")


def _recent(journal: Journal, kinds: Sequence[str], since: datetime) -> list[Event]:
    """The events of these kinds after an instant, newest first."""
    newest = 64
    while len(found := journal.select(kinds, newest=newest)) == newest and found[-1].at > since:
        newest *= 4
    return [event for event in found if event.at > since]


class _Rollout(Struct, frozen=True):
    deaths: int
    started_at: datetime | None
    settled_at: datetime | None
    halted: str
    failures: Failures | None
    streak: Streak | None
    paused_since: datetime | None
    canary: Canary | None
    full: dict[str, datetime]


def _rollout(known: Recollection, group: str, now: datetime) -> _Rollout:
    """A group's rollout since it was last started."""
    start = known.last(("rollout.started",), group=group)
    after = start.sequence if start else 0
    died = known.select(("server.died",), group=group, after=after, newest=MOST_DEATHS)
    settled = known.select(("rollout.settled",), group=group, after=after)
    halted = known.select(("rollout.halted",), group=group, after=after, newest=1)
    # A person who says "go on" ends whatever has held the rollout, and the failures that did.
    resumed = known.last(_RESUMED, group=group)
    held = known.select(("rollout.paused",), group=group, after=_after(resumed, after), newest=1)
    canary = known.select(("canary.began",), group=group, after=after, newest=1)
    return _Rollout(
        deaths=sum(_counts(event) for event in died if event.at > now - DEATH_WINDOW),
        started_at=start.at if start else None,
        settled_at=settled[-1].at if settled else None,
        halted=halted[0].message if halted else "",
        failures=_failures(known, group, _after(resumed, after)),
        streak=_streak([event for event in died if event.sequence > _after(resumed, after)], now),
        paused_since=held[0].at if held else None,
        canary=_canary(canary[0]) if canary else None,
        full=_full(known, group, _after(resumed, after)),
    )


def _counts(died: Event) -> bool:
    return bool(died.data.get("counts", True))


def _streak(died: Sequence[Event], now: datetime) -> Streak | None:
    """What these deaths, the newest first, come to; None if it has been calm since."""
    streak: Streak | None = None
    for event in reversed(died):
        if _counts(event):
            streak = after_death(streak, event.at)
    return streak if streak and now - streak.last_at < CALM else None


def _after(resumed: Event | None, start: int) -> int:
    return max(start, resumed.sequence if resumed else 0)


def _canary(event: Event) -> Canary:
    counted = {server: Counters(*values) for server, values in event.data["baseline"].items()}
    return Canary(event.data["generation"], event.at, counted)


def _passed(known: Recollection, group: str) -> frozenset[int]:
    """The generations that served as a whole once, or whose canaries passed."""
    events = known.select(("rollout.settled", "canary.passed"), group=group)
    return frozenset(event.data.get("generation", 0) for event in events)


def _quarantined(known: Recollection, group: str) -> dict[int, Quarantine]:
    """The generations that failed, since a person last said to try again."""
    after = _after(known.last(_RESUMED, group=group), 0)
    events = known.select(("rollout.halted",), group=group, after=after)
    failed = [event for event in reversed(events) if event.data.get("declared")]
    return {event.data["generation"]: Quarantine(event.message, event.data["declared"]) for event in failed}


def _pause(known: Recollection, group: str) -> Event | None:
    """The last word of a person on whether anything may be done to a group; to all of them, if it is empty."""
    if not group:
        return known.last(("fleet.paused", "fleet.resumed"))
    return known.last(("group.paused", *_RESUMED), group=group)


_RESUMED = ("group.resumed",)


def _full(known: Recollection, group: str, after: int) -> dict[str, datetime]:
    """For which sizes and zones there was no room, and when last."""
    found: dict[str, datetime] = {}
    for event in known.select(("action.failed",), group=group, after=after):
        if NO_ROOM in event.data:
            found.setdefault(event.data[NO_ROOM], event.at)
    return found


def _failures(known: Recollection, group: str, after: int) -> Failures | None:
    """The longest row of failures of one verb that no success has ended.

    By verb, as what was begun in vain is destroyed, which works: between two creates that fail there is a success.
    """
    failed: dict[str, list[Event]] = {}
    for event in known.select(("action.failed",), group=group, after=after):
        if NO_ROOM not in event.data:
            failed.setdefault(event.data.get("verb", ""), []).append(event)
    row: list[Event] = []
    for verb, events in failed.items():
        worked = known.last((f"server.{PAST[verb]}",), group=group) if verb in PAST else None
        since = [event for event in events if worked is None or event.sequence > worked.sequence]
        row = max(row, since, key=len)
    return Failures(len(row), row[0].at, row[0].message, row[0].data.get("verb", "")) if row else None
