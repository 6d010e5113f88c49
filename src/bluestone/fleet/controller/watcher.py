"""Looks for drift on a schedule, and writes what it finds for the first time to the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.strays import Register
from bluestone.fleet.drift import RECENT, Key, Verdict, common, drifts, judge
from bluestone.fleet.provider import Provider
from bluestone.model.drift import Drift, Examination, Unseen
from bluestone.model.event import Event
from bluestone.model.group import Group
from bluestone.model.problem import Problem
from bluestone.model.server import Server

PERIOD = timedelta(seconds=10)
"""Time between two looks. One takes some 0.1 s of processor time."""

MOST_RECORDED = 20
"""Drifts of one server that the journal takes: whoever rules a server must not be able to fill the disk."""

TAINTED, DRIFTED = "server.tainted", "server.drifted"
"""What is written of a drift: that its server is to be replaced for it, or that there is one."""

Notify = Callable[[datetime, Entry], None]
Told = Callable[[Examination], Examination]
"""Adds to an examination what is known of a server by other ways."""


def _nothing_more(seen: Examination) -> Examination:
    return seen


class Found(Struct, frozen=True):
    """A server, and where it differs from its image."""

    server: Server
    group: Group
    seen: Examination
    drifts: tuple[Drift, ...]

    @property
    def generation(self) -> tuple[str, int]:
        """Servers with the same are alike."""
        return self.server.group, self.server.generation


class Examined(Struct, frozen=True):
    """A server that was looked at. `tainted` says why it is to be replaced, if it is."""

    server: str
    group: str
    verdicts: tuple[Verdict, ...]
    unseen: tuple[Unseen, ...]
    tainted: str = ""


class Report(Struct, frozen=True):
    """What a look found. `gaps` says what could not be looked at as a whole."""

    at: datetime
    servers: tuple[Examined, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether any server differs from its image."""
        return any(server.verdicts for server in self.servers)


class Watcher:
    """Looks at the servers of one project.

    It needs nobody's leave: it only adds to the journal, and whoever leads the project reads it there. `notify` is told
    each entry as it is recorded, `told` adds what providers cannot see.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        journal: Journal,
        clock: Callable[[], datetime],
        notify: Notify,
        told: Told = _nothing_more,
    ) -> None:
        self._providers = providers
        self._journal = journal
        self._clock = clock
        self._notify = notify
        self._told = told
        self._register = Register(journal)
        self._looked_at: datetime | None = None

    def look_if_due(self, groups: Iterable[Group]) -> Report | None:
        """Look, unless the last look was less than `PERIOD` ago."""
        if self._looked_at is not None and self._clock() - self._looked_at < PERIOD:
            return None
        return self.look(groups)

    def look(self, groups: Iterable[Group]) -> Report:
        """Look at every running server of these groups once; record what is new. The next look is due from now on."""
        self._looked_at = self._clock()
        named = {group.name: group for group in groups}
        found, gaps = self._examine(named) if named else ([], [])
        shared = _shared(found)
        examined = [self._judge(each, shared[each.generation]) for each in found]
        return Report(self._clock(), tuple(examined), tuple(gaps))

    def _examine(self, groups: Mapping[str, Group]) -> tuple[list[Found], list[str]]:
        """Where each running server differs from its image, by name; and what could not be looked at."""
        gaps: list[str] = []
        found: list[Found] = []
        for name, provider in self._providers.items():
            try:
                listed = self._register.own(provider.list_servers())
                running = {s.name: s for s in listed if s.phase == "running" and s.group in groups}
                seen = [self._told(each) for each in provider.examine(list(running.values()))] if running else []
            except Problem as problem:
                gaps.append(f"provider {name}: {problem.what}")
                continue
            for each in seen:
                server = running[each.server]
                found.append(Found(server, groups[server.group], each, drifts(each, groups[server.group].on_drift)))
        return sorted(found, key=lambda each: each.server.name), gaps

    def _judge(self, one: Found, shared: Collection[Key]) -> Examined:
        server, group = one.server, one.group
        events = self._journal.select((TAINTED, DRIFTED), server=server.name)
        recurrences = self._recurrences(server) if one.drifts else Counter()
        verdicts = tuple(judge(drift, group.on_drift, group.count, recurrences, shared) for drift in one.drifts)
        entries = _new(server, verdicts, events)
        now = self._clock()
        self._journal.record(now, entries)
        for entry in entries:
            self._notify(now, entry)
        taint = next((e.message for e in reversed(entries) if e.kind == TAINTED), "")
        taint = taint or next((event.message for event in events if event.kind == TAINTED), "")
        return Examined(server.name, server.group, verdicts, one.seen.unseen, taint)

    def _recurrences(self, server: Server) -> Counter[Key]:
        """For how many other servers of this generation each drift was lately a reason to replace them."""
        since = self._clock() - RECENT
        events = self._journal.select((TAINTED,), group=server.group)
        others = {
            (event.server, event.data["aspect"], event.data["subject"])
            for event in events
            if event.at > since and event.server != server.name and event.data.get("generation") == server.generation
            if "subject" in event.data
        }
        return Counter((aspect, subject) for _, aspect, subject in others)


def _shared(found: Iterable[Found]) -> dict[tuple[str, int], frozenset[Key]]:
    """What all servers of each generation have."""
    generations: dict[tuple[str, int], list[tuple[Drift, ...]]] = {}
    for each in found:
        generations.setdefault(each.generation, []).append(each.drifts)
    return {generation: common(of_all) for generation, of_all in generations.items()}


def _new(server: Server, verdicts: Sequence[Verdict], events: Sequence[Event]) -> list[Entry]:
    """What of these the journal does not have yet."""
    known = {(e.kind, e.data.get("aspect"), e.data.get("subject")): e.at for e in reversed(events)}
    entries = []
    for verdict in verdicts:
        drift, kind = verdict.drift, TAINTED if verdict.taints else DRIFTED
        written = known.get((kind, drift.aspect, drift.subject))
        if written is not None and (drift.last is None or drift.last <= written):
            continue
        data = {
            "cause": "login" if drift.aspect == "logins" else "drift",
            "aspect": drift.aspect,
            "subject": drift.subject,
            "generation": server.generation,
            "since": drift.since.isoformat() if drift.since else "",
        }
        why_not = f"; not replaced: {verdict.why_not}" if verdict.why_not else ""
        entries.append(Entry(kind, server.group, server.name, f"{drift.what}{why_not}", data))
    # A server that has no taint yet gets one whatever else was written of it.
    room = max(0, MOST_RECORDED - len(events))
    first = [entry for entry in entries if entry.kind == TAINTED][:1]
    tainted = any(event.kind == TAINTED for event in events)
    return entries[:room] or ([] if tainted else first)
