"""Observing: providers and balancer -> one inventory that says what it could not see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from bluestone.fleet.balancer import Balancer, Service
from bluestone.fleet.provider import Provider
from bluestone.model.action import Action, Create, Destroy
from bluestone.model.group import Group
from bluestone.model.ids import slot_name
from bluestone.model.inventory import Backend, Inventory
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem
from bluestone.model.server import Server

HELD = timedelta(seconds=60)
"""How long a request that wakes its group is held, at least."""

MAX_AGE = timedelta(seconds=1)
"""How old a list of servers may be, but for what is known to have changed since."""

HURRIED_AGE = timedelta(seconds=3)
"""How old it may be while something else is waited for."""


def services_of(goals: Iterable[Goal]) -> tuple[Service, ...]:
    """What the balancer has to offer for these goals."""
    groups = (goal.group for goal in goals)
    return tuple(_service(group) for group in groups if group.ports)


def _service(group: Group) -> Service:
    how = group.hours.on_request if group.hours else None
    hold = max(group.rollout.hold, HELD) if how == "hold" else group.rollout.hold
    return Service(group.name, group.ports, group.health, hold, how == "page")


class Listing(Struct, frozen=True):
    """The servers of all providers at one instant, and what could not be listed.

    `missed` are servers that were listed and have been missing for less than the
    provider's `list_lag`: they are taken to be there.
    """

    at: datetime
    servers: tuple[Server, ...]
    gaps: tuple[str, ...]
    missed: tuple[Server, ...] = ()


class Lookout:
    """Lists the servers of providers, which is slow, no oftener than is useful.

    A list is used for `MAX_AGE`, with what our own actions are known to have changed since: what happens by itself in
    the meantime is seen that much later. The balancer, which is quick, is asked every time, so no server gets requests
    on an old list's word. While `hurried` a list is used for `HURRIED_AGE`: one takes as long as several steps of a
    rollout, and the processor from the calls that make and stop servers.
    """

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._last: Listing | None = None
        self._seen: dict[str, Server] = {}
        self._missing_since: dict[str, datetime | None] = {}
        self._gone: set[str] = set()
        self._came: dict[str, Server] = {}
        self._went: set[str] = set()
        self.hurried = False
        self.lag = max((provider.list_lag for provider in providers.values()), default=timedelta(0))

    def forget(self) -> None:
        """An action of ours may have changed the servers, or not: the last list is worth nothing any more."""
        self._last = None

    def came(self, server: Server) -> None:
        """An action of ours has created a server, which the provider has described."""
        self._seen[server.name] = server
        self._came[server.name] = server

    def went(self, server: str) -> None:
        """An action of ours has destroyed a server: its provider says that it is gone, so it will not be missed."""
        self._gone.add(server)
        self._went.add(server)
        self._came.pop(server, None)

    def expect(self, servers: Iterable[Server]) -> None:
        """These servers are known to exist, though no list has shown them yet."""
        self._seen = {server.name: server for server in servers} | self._seen
        self._last = None

    def list_servers(self, now: datetime) -> Listing:
        """The servers, as they were at most `MAX_AGE` ago, or `HURRIED_AGE`."""
        limit = HURRIED_AGE if self.hurried else MAX_AGE
        if self._last is None or self._last.gaps or not timedelta(0) <= now - self._last.at < limit:
            self._last = self._look(now)
        elif self._came or self._went:
            self._last = self._changed(self._last)
        self._came, self._went = {}, set()
        return self._last

    def _changed(self, listing: Listing) -> Listing:
        """A list with what our own actions have changed since."""
        now_others = self._went | self._came.keys()
        servers = (each for each in listing.servers if each.name not in now_others)
        missed = tuple(each for each in listing.missed if each.name not in self._went)
        return replace(listing, servers=(*servers, *self._came.values()), missed=missed)

    def _look(self, now: datetime) -> Listing:
        gaps: list[str] = []
        servers: list[Server] = []
        for name, provider in self._providers.items():
            try:
                servers += provider.list_servers()
            except Problem as problem:
                gaps.append(f"provider {name}: {problem.what}")
        return Listing(now, tuple(servers), tuple(gaps), self._missed(servers, now))

    def _missed(self, servers: Sequence[Server], now: datetime) -> tuple[Server, ...]:
        """A list that takes long shows what is some time after it was asked for. So the first that lacks a server says
        only that it was missing before the next is asked for: the lag is counted from then on."""
        listed = {server.name: server for server in servers}
        missing = self._seen.keys() - listed.keys() - self._gone
        before = self._missing_since
        self._missing_since = {name: (before[name] or now) if name in before else None for name in missing}
        missed = {
            name: self._seen[name]
            for name, at in self._missing_since.items()
            if self.lag and (at is None or now < at + self.lag)
        }
        self._seen = listed | missed
        self._gone &= listed.keys()
        return tuple(missed.values())


def observe(lookout: Lookout, balancer: Balancer, services: Sequence[Service], now: datetime) -> Inventory:
    """Look at everything once. What cannot be seen becomes a gap; nothing is made up in its place.

    The balancer is looked at first: a server that is enrolled in between is then missing from the backends
    (and is enrolled again, which has no effect), not a backend without a server.
    """
    gaps: tuple[str, ...] = ()
    backends: Sequence[Backend] = ()
    if services:
        try:
            backends = balancer.list_backends()
        except Problem as problem:
            gaps = (f"the balancer: {problem.what}",)
    listing = lookout.list_servers(now)
    servers = listing.servers + listing.missed
    missed = frozenset(server.name for server in listing.missed)
    return Inventory(now, servers, tuple(backends), gaps + listing.gaps + _unlisted(servers, backends), missed)


def _unlisted(servers: Collection[Server], backends: Iterable[Backend]) -> tuple[str, ...]:
    """A server whose health checks do not fail exists: a list without it is not whole.

    Unless another server of its slot is there, which has the same address and is the one that answers.
    """
    names = {server.name for server in servers}
    strays = [backend.server for backend in backends if backend.health != "down" and backend.server not in names]
    places = {slot_name(name) for name in names} if strays else set()
    return tuple(
        f"{server} does not fail its health checks, and no provider lists it"
        for server in strays
        if slot_name(server) not in places
    )


def with_pending(inventory: Inventory, under_way: Iterable[Action], unborn: Iterable[Server]) -> Inventory:
    """The inventory, with the servers that are being acted on marked, and those being created added.

    Those being destroyed are shown as what they are since: asked to stop.
    """
    under_way = tuple(under_way)
    going = {action.server for action in under_way if isinstance(action, Destroy)}
    servers = inventory.servers
    if going:
        servers = tuple(
            replace(server, phase="stopping") if server.name in going and server.phase == "running" else server
            for server in servers
        )
    pending = inventory.pending | {action.server for action in under_way}
    coming = [action.coming(inventory.at) for action in under_way if isinstance(action, Create)]
    coming += [server for server in unborn if server.name not in pending]
    unseen = tuple(server for server in coming if server.name not in inventory.names)
    if not pending and not unseen:
        return inventory
    return replace(
        inventory,
        servers=servers + unseen,
        pending=frozenset(pending | {server.name for server in unseen}),
    )
