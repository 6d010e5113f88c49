"""What HAProxy says, put together per server. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from bluestone.fleet.balancers.haproxy.render import group_of, proxy_name
from bluestone.fleet.balancers.haproxy.roster import Roster
from bluestone.fleet.balancers.haproxy.runtime import Entry, Statistics, Unsettled
from bluestone.model.inventory import Backend, Counters

Sessions = Mapping[tuple[str, str], int]
"""How many sessions there are, by (proxy, server)."""


class Sight(Struct, frozen=True):
    """One server: its entries in the serving worker, and the sessions that it holds in all workers.

    `complete` is whether it has an entry in every proxy where it belongs. `proxies` are those of the entries
    and those where only a replaced worker still knows it.
    """

    server: str
    group: str
    entries: tuple[Entry, ...]
    proxies: frozenset[str]
    sessions: int
    complete: bool

    @property
    def attached(self) -> bool:
        """Whether it gets requests on every port."""
        return self.complete and bool(self.entries) and all(entry.attached for entry in self.entries)

    @property
    def health(self) -> Literal["up", "down", "unknown"]:
        """Up if it is up on every port, down if it fails on one; unknown before the checks' verdict."""
        if not self.entries:
            return "unknown"
        if all(entry.up for entry in self.entries):
            return "up"
        return "down" if any(entry.failing for entry in self.entries) else "unknown"

    def backend(self, told: Statistics) -> Backend:
        """As the balancer port reports it, with what HAProxy tells of it besides."""
        counted = told.counted
        mine = [counted[proxy, self.server] for proxy in sorted(self.proxies) if (proxy, self.server) in counted]
        times = [each.response_ms for each in mine if each.response_ms is not None]
        total = Counters(
            sum(each.requests for each in mine), sum(each.errors for each in mine), max(times, default=None)
        )
        admission: Literal["attached", "detached"] = "attached" if self.attached else "detached"
        failures = [
            told.failures[proxy, self.server] for proxy in sorted(self.proxies) if (proxy, self.server) in told.failures
        ]
        failure = "" if self.health == "up" else next(iter(failures), "")
        return Backend(self.server, self.group, admission, self.health, self.sessions, total, failure)


def put_together(
    roster: Roster, entries: Iterable[Entry], current: Sessions, replaced: Iterable[Sessions]
) -> dict[str, Sight]:
    """Every server in HAProxy, by name.

    `current` are the sessions of the serving worker, `replaced` those of the workers that a reload has
    replaced. Raises `Unsettled` if the entries and the current sessions name different servers: one came or
    went in between.
    """
    mine: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        mine[entry.server].append(entry)
    if {(entry.proxy, entry.server) for of_one in mine.values() for entry in of_one} != set(current):
        raise Unsettled("HAProxy's servers changed while it was asked")
    held: Counter[tuple[str, str]] = Counter(current)
    for sessions in replaced:
        # A replaced worker lists every server it ever had; those that hold nothing are of no interest.
        held.update({place: count for place, count in sessions.items() if count})
    proxies: dict[str, set[str]] = defaultdict(set)
    for proxy, server in held:
        proxies[server].add(proxy)
    return {
        server: Sight(
            server=server,
            group=group_of(min(places)),
            entries=tuple(mine[server]),
            proxies=frozenset(places),
            sessions=sum(held[proxy, server] for proxy in places),
            complete=belongs(roster, server) <= {entry.proxy for entry in mine[server]},
        )
        for server, places in proxies.items()
    }


def is_whole(roster: Roster, sight: Sight) -> bool:
    """Whether nothing about a server is half done, as far as it can be seen, and the roster says the same of it."""
    known = roster.enrolments.get(sight.server)
    asleep = any(entry.asleep for entry in sight.entries)
    return known is not None and sight.complete and not asleep and known.attached == sight.attached


def belongs(roster: Roster, server: str) -> set[str]:
    """The proxies that an enrolled server belongs to; none for a server that the roster does not know."""
    enrolment = roster.enrolments.get(server)
    return {proxy_name(enrolment.group, port) for port in roster.ports_of(enrolment)} if enrolment else set()
