"""What HAProxy must be told again when it is started anew: the services, and the servers enrolled in them.

HAProxy itself says who is attached, healthy or busy; the roster remembers what HAProxy forgets when it ends.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from bluestone.fleet.balancer import Service
from bluestone.host.files import write_atomically
from bluestone.model.group import Health, Port
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint


class Enrolment(Struct, frozen=True):
    """A server as it was enrolled. `attached` is what a restart shall make of it.

    `health` is how it is checked for as long as it is enrolled: the check of the generation that it belongs to.
    A check that is declared later may ask for a page that this server has never had.
    """

    group: str
    server: str
    endpoint: Endpoint
    attached: bool = False
    health: Health = field(default_factory=Health)


class Roster(Struct, frozen=True):
    """Services and enrolments, the latter by server name."""

    services: tuple[Service, ...] = ()
    enrolments: dict[str, Enrolment] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Roster | None:
        """Read it; None if there is none. Raises `Problem` if it cannot be read or understood."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise Problem(f"cannot read {path}: {error}", mend="run `bluestone down`, then `bluestone up`") from error

    def save(self, path: Path) -> None:
        """Write it durably, or leave the old one. Raises `Problem`."""
        write_atomically(path, msgspec.json.encode(self))

    def service(self, group: str) -> Service | None:
        """What is offered for a group."""
        return next((service for service in self.services if service.group == group), None)

    def ports_of(self, enrolment: Enrolment) -> tuple[Port, ...]:
        """The ports behind which a server belongs: its group's, less those that came after it was made."""
        service = self.service(enrolment.group)
        ports = service.ports if service else ()
        return tuple(port for port in ports if port.server in enrolment.endpoint.ports)

    def with_enrolment(self, enrolment: Enrolment) -> Roster:
        """With a server added, or its entry replaced."""
        return replace(self, enrolments={**self.enrolments, enrolment.server: enrolment})

    def without(self, server: str) -> Roster:
        """With a server left out."""
        rest = {name: enrolment for name, enrolment in self.enrolments.items() if name != server}
        return replace(self, enrolments=rest)

    def offering(self, services: tuple[Service, ...], *, attached_only: bool) -> Roster:
        """With other services, and those servers that have a place in them."""
        changed = replace(self, services=services)
        kept = {
            name: enrolment
            for name, enrolment in self.enrolments.items()
            if changed.ports_of(enrolment) and (enrolment.attached or not attached_only)
        }
        return replace(changed, enrolments=kept)
