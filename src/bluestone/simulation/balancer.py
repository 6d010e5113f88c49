"""A balancer in memory that keeps the port's contract, for tests and simulations.

Nothing happens by itself: whoever uses it says how the servers are (`set_health`, `set_sessions`) and when
the balancer dies (`crash`) or does not answer (`answers`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bluestone.fleet.balancer import Service
from bluestone.model.inventory import Backend, Counters
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import Endpoint

NOTHING = Counters()

Verdict = Literal["up", "down", "unknown"]


@dataclass
class Seat:
    """An enrolled server."""

    group: str
    endpoint: Endpoint
    attached: bool = False
    health: Verdict = "unknown"
    sessions: int = 0


class MemoryBalancer:
    """The fault model: health and sessions as set, no answer at all, a death that forgets who is detached."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.seats: dict[str, Seat] = {}
        self.by_group: defaultdict[str, dict[str, Seat]] = defaultdict(dict)
        """The same seats, group by group."""
        self.arrived: dict[str, int] = {}
        self.answers = True
        self.dead = False

    # ---- what the world does ------------------------------------------------------------------------------

    def set_health(self, server: str, health: Verdict) -> None:
        """What the checks of an enrolled server say from now on."""
        self.seats[server].health = health

    def set_sessions(self, server: str, sessions: int) -> None:
        """How many requests an enrolled server holds from now on."""
        self.seats[server].sessions = sessions

    def crash(self) -> None:
        """Die. The next `ensure` starts anew with the servers that were attached."""
        self.dead = True

    def forget(self) -> None:
        """Know no server any more."""
        self._sit({})

    def receivers(self, group: str) -> set[str]:
        """The servers that get the group's requests."""
        if self.dead or group not in self.services:
            return set()
        return {name for name, seat in self.by_group[group].items() if seat.attached and seat.health != "down"}

    def counted(self, server: str) -> Counters:  # noqa: ARG002 - for balancers that count
        """What was counted of a server: nothing."""
        return NOTHING

    # ---- the port -----------------------------------------------------------------------------------------

    def ensure(self, services: Sequence[Service]) -> None:
        """Offer these services; start anew after a death."""
        self._must_answer()
        self.services = {service.group: service for service in services if service.ports}
        stays = {
            name: seat
            for name, seat in self.seats.items()
            if seat.group in self.services and (seat.attached or not self.dead)
        }
        if self.dead:
            for seat in stays.values():
                seat.health, seat.sessions = "unknown", 0
        if len(stays) < len(self.seats):
            self._sit(stays)
        self.dead = False

    def is_running(self) -> bool:
        """Whether it was ensured, and neither died nor was stopped."""
        return bool(self.services) and not self.dead

    def list_backends(self) -> Sequence[Backend]:
        """Every enrolled server."""
        self._must_run()
        return tuple(
            Backend(
                server=name,
                group=seat.group,
                admission="attached" if seat.attached else "detached",
                health=seat.health,
                sessions=seat.sessions,
                counters=self.counted(name),
            )
            for name, seat in sorted(self.seats.items())
        )

    def arrivals(self) -> Mapping[str, int]:
        """What was said to have come."""
        self._must_answer()
        return {group: self.arrived.get(group, 0) for group in self.services}

    def enrol(self, group: str, server: str, endpoint: Endpoint) -> None:
        """Know a server, without sending it requests."""
        self._must_run()
        service = self.services.get(group)
        if service is None or not {port.server for port in service.ports} <= set(endpoint.ports):
            raise Problem(f"{server} cannot be offered on the ports of {group}")
        seat = self.seats.get(server)
        if seat and (seat.group, seat.endpoint) == (group, endpoint):
            return
        if seat and (seat.attached or seat.sessions):
            raise Refused(f"{server} is in use with another endpoint")
        if seat:
            del self.by_group[seat.group][server]
        self.seats[server] = self.by_group[group][server] = Seat(group, endpoint)

    def attach(self, server: str) -> None:
        """Send requests to a healthy server."""
        self._must_run()
        seat = self.seats.get(server)
        if seat is None:
            raise Refused(f"{server} is not enrolled in the balancer")
        if not seat.attached and seat.health != "up":
            raise Refused(f"{server} is not healthy: its health checks say {seat.health}")
        seat.attached = True

    def detach(self, server: str) -> None:
        """Send it no new requests."""
        self._must_run()
        if server in self.seats:
            self.seats[server].attached = False

    def dismiss(self, server: str, *, sever: bool = False) -> None:
        """Forget a detached server."""
        self._must_run()
        seat = self.seats.get(server)
        if seat and seat.attached:
            raise Refused(f"{server} is attached: it still gets requests")
        if seat and seat.sessions and not sever:
            raise Refused(f"{server} still holds {seat.sessions} sessions")
        if seat:
            del self.seats[server], self.by_group[seat.group][server]

    def stop(self) -> None:
        """End, and know nobody any more."""
        self._must_answer()
        self._sit({})
        self.services, self.dead = {}, False

    def _sit(self, seats: dict[str, Seat]) -> None:
        self.seats = seats
        self.by_group.clear()
        for name, seat in seats.items():
            self.by_group[seat.group][name] = seat

    def _must_answer(self) -> None:
        if not self.answers:
            raise Problem("the balancer does not answer")

    def _must_run(self) -> None:
        self._must_answer()
        if self.dead:
            raise Problem("the balancer does not run", mend="run `bluestone up`")
