"""What was observed, when, and whether the view is complete."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

from msgspec import Struct

from bluestone.model.lazy import lazy
from bluestone.model.server import Server

Admission = Literal["detached", "attached"]
"""detached: enrolled and health-checked, gets no new requests. attached: gets requests."""


_SLOT, _INCARNATION = attrgetter("slot"), attrgetter("incarnation")


class Counters(Struct, frozen=True):
    """What a server did since the balancer began to count.

    `requests` are those answered or failed (connections, where it shares out those), `errors` the failed ones among
    them: 5xx answers, broken answers, and connections that could not be made. `response_ms` is the mean time to an
    answer over the latest of them, in milliseconds; None where no answer was timed.
    """

    requests: int = 0
    errors: int = 0
    response_ms: float | None = None


class Backend(Struct, frozen=True):
    """A server as the balancer reports it. `sessions` are the requests or connections it holds now.

    `failure` says how its last health check failed, if it did and the balancer tells. Two are equal whatever this and
    their counters are: those change with every request.
    """

    server: str
    group: str
    admission: Admission
    health: Literal["up", "down", "unknown"]
    sessions: int
    counters: Counters = Counters()
    failure: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backend) and self._standing == other._standing

    def __hash__(self) -> int:
        return hash(self._standing)

    @property
    def _standing(self) -> tuple[str, str, str, str, int]:
        return self.server, self.group, self.admission, self.health, self.sessions


class Inventory(Struct, frozen=True, dict=True):
    """Servers and backends at one instant.

    `gaps` says, one sentence each, what could not be observed: a view with gaps never justifies a destroy.
    `pending` are the servers that an action under way concerns: they are left alone until it ends. `strays` bear
    bluestone's marks, but bluestone did not make them: nothing is done with them.
    """

    at: datetime
    servers: tuple[Server, ...] = ()
    backends: tuple[Backend, ...] = ()
    gaps: tuple[str, ...] = ()
    pending: frozenset[str] = frozenset()
    strays: tuple[Server, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything was observed."""
        return not self.gaps

    def backend(self, server: str) -> Backend | None:
        """The balancer's entry for a server."""
        return self.by_server.get(server)

    def of_group(self, group: str) -> tuple[Server, ...]:
        """A group's servers, by slot and incarnation."""
        return self._groups.get(group, ())

    @lazy
    def by_server(self) -> Mapping[str, Backend]:
        """The balancer's entries, by their servers' names."""
        return {backend.server: backend for backend in self.backends}

    @lazy
    def derived(self) -> dict[Any, Any]:
        """What others found out from this inventory and may ask for again, by keys of their own."""
        return {}

    @lazy
    def names(self) -> Set[str]:
        """The names of all servers."""
        return frozenset([server.name for server in self.servers])

    @property
    def groups(self) -> Set[str]:
        """The groups that there are servers of."""
        return self._groups.keys()

    @lazy
    def _groups(self) -> dict[str, tuple[Server, ...]]:
        groups: dict[str, list[Server]] = {}
        # By one number and then by the other is quicker than by pairs of them.
        for server in sorted(sorted(self.servers, key=_INCARNATION), key=_SLOT):
            of_group = groups.get(server.group)
            if of_group is None:
                groups[server.group] = [server]
            else:
                of_group.append(server)
        return {name: tuple(servers) for name, servers in groups.items()}
