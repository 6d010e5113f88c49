"""The simulated provider and balancer in bad weather, and under the eyes of the checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import timedelta

from bluestone.fleet.balancer import Service
from bluestone.model.inventory import Backend, Counters
from bluestone.model.problem import NoRoom, Problem
from bluestone.model.server import Endpoint, Server, ServerSpec
from bluestone.simulation.balancer import MemoryBalancer
from bluestone.simulation.checks import Checks
from bluestone.simulation.machines import PROJECT, Machines
from bluestone.simulation.provider import Fault, SimulatedProvider
from bluestone.simulation.weather import HELD, SLOWEST, STALEST

KINDS: tuple[Fault, ...] = ("not-done", "lost-answer", "half-done")


class FaultyProvider(SimulatedProvider):
    """The provider port on machines, with the faults of their weather."""

    list_lag = timedelta(seconds=STALEST + 1)

    def __init__(self, machines: Machines, checks: Checks) -> None:
        super().__init__(PROJECT, machines.timeline.clock, machines.cloud)
        self._machines = machines
        self._checks = checks
        self._owed: frozenset[str] = frozenset()
        """The servers that lists left out, and that one has to show before they are left out again."""

    def list_servers(self) -> Sequence[Server]:
        """Every server; or as it was, or some of them, or nothing."""
        machines, chance = self._machines, self._machines.chance
        weather, timeline = machines.weather, machines.timeline
        if chance.random() < weather.slow:
            timeline.advance(chance.uniform(0, SLOWEST))
        if machines.provider_down or chance.random() < weather.blind:
            raise Problem("the provider does not answer")
        servers = {server.name: server for server in super().list_servers()}
        if chance.random() < weather.stale:
            then = machines.names_at(timeline.seconds - chance.uniform(0, STALEST))
            gone = {name: self._checks.gone[name] for name in then if name in self._checks.gone}
            servers = {name: server for name, server in (servers | gone).items() if name in then}
        if not machines.hidden and chance.random() < weather.partial:
            machines.hidden = frozenset(name for name in servers if chance.random() < 0.4) - self._owed
            timeline.after(chance.uniform(0, STALEST), self._show)
        self._owed = (self._owed - servers.keys()) | machines.hidden
        return [server for name, server in servers.items() if name not in machines.hidden]

    def create(self, spec: ServerSpec) -> None:
        """Have the server run; or by half, or not; or it does and nobody hears."""
        machines = self._machines
        self._must_answer()
        existing = len(machines.cloud.servers)
        if machines.quota is not None and existing >= machines.quota:
            raise NoRoom(f"no more than {machines.quota} servers are allowed (quota)")
        if machines.place(spec) == machines.lost_zone:
            raise NoRoom(f"zone {machines.lost_zone} has no room")
        if held := [name for name in spec.volumes if machines.held.get(name, 0.0) > machines.timeline.seconds]:
            raise Problem(f"{spec.name} cannot have the volume {held[0]}: it is still on another server")
        if spec.volumes and machines.weather.held and machines.chance.random() < machines.weather.held:
            self.fault("create", "still-attached")
        with self._spoiling("create", spec.name):
            super().create(spec)

    def destroy(self, name: str, grace: timedelta) -> None:
        """Have the server gone; or by half, or not; or it is and nobody hears."""
        self._must_answer()
        with self._spoiling("destroy", name):
            super().destroy(name, grace)

    def _show(self) -> None:
        self._machines.hidden = frozenset()

    def _must_answer(self) -> None:
        if self._machines.provider_down:
            raise Problem("the provider does not answer")

    @contextmanager
    def _spoiling(self, verb: str, name: str) -> Iterator[None]:
        """Spoil the call inside by chance, and have what it did looked at."""
        machines = self._machines
        before = machines.cloud.servers.get((PROJECT, name))
        if machines.chance.random() < machines.weather.lost:
            self.fault("create" if verb == "create" else "destroy", machines.chance.choice(KINDS))
        machines.remember_list()
        try:
            yield
        finally:
            after = machines.cloud.servers.get((PROJECT, name))
            if before is not None and (after is None or after.phase != before.phase) and verb == "destroy":
                self._checks.destroyed(before)
                if after is None and machines.weather.held and machines.chance.random() < machines.weather.held:
                    until = machines.timeline.seconds + machines.chance.uniform(0, HELD)
                    machines.held |= dict.fromkeys(before.volumes, until)
            machines.look(name)
            machines.remember_list()
            if before is None and after is not None:
                self._checks.created(after)


class FaultyBalancer(MemoryBalancer):
    """The balancer port, with the faults of the weather. `machines` and `checks` are set once these exist."""

    machines: Machines
    checks: Checks

    def ensure(self, services: Sequence[Service]) -> None:
        """Offer these services; after a death the health of every server is found out anew."""
        was_dead = self.dead
        super().ensure(services)
        if was_dead:
            self.machines.balancer_began = self.machines.timeline.seconds
            for name in self.seats:
                self.machines.check(name)

    def list_backends(self) -> Sequence[Backend]:
        """Every enrolled server, or nothing."""
        if self.machines.chance.random() < self.machines.weather.blind:
            raise Problem("the balancer does not answer")
        return super().list_backends()

    def counted(self, server: str) -> Counters:
        """As many requests for all."""
        return self.machines.counters(server)

    def enrol(self, group: str, server: str, endpoint: Endpoint) -> None:
        """Know a server, and begin to check it."""
        try:
            self._lossy(lambda: super(FaultyBalancer, self).enrol(group, server, endpoint))
        finally:
            self.machines.check(server)  # whoever knows it checks it, also if nobody heard that it is known

    def attach(self, server: str) -> None:
        """Send requests to a healthy server."""
        self._lossy(lambda: super(FaultyBalancer, self).attach(server))

    def detach(self, server: str) -> None:
        """Send it no new requests."""
        self._lossy(lambda: self._detach(server))

    def dismiss(self, server: str, *, sever: bool = False) -> None:
        """Forget a detached server."""
        self._lossy(lambda: self._dismiss(server, sever=sever))

    def _detach(self, server: str) -> None:
        seat = self.seats.get(server)
        attached = seat is not None and seat.attached
        able = self.machines.able(seat.group) if seat else set()
        super().detach(server)
        if seat is not None and attached:
            self.machines.hold_sessions(server)
            self.checks.detached(server, seat.group, able, checked=seat.health != "unknown")

    def _dismiss(self, server: str, *, sever: bool) -> None:
        seat = self.seats.get(server)
        held = copy(seat) if seat else None
        super().dismiss(server, sever=sever)
        if held is not None:
            self.checks.dismissed(server, held.group, held.sessions)

    def _lossy(self, call: Callable[[], None]) -> None:
        """Make the call, or not; then say that it failed, by chance."""
        chance, weather = self.machines.chance, self.machines.weather
        lost = chance.random() < weather.lost
        if not lost or chance.random() < 0.5:
            try:
                call()
            finally:
                if self.machines.sampled:
                    for group in {seat.group for seat in self.seats.values()}:
                        self.machines.sample(group)
        if lost:
            raise Problem("the balancer's answer was lost")
