"""The steps that a plan is made of. Each carries the reason why it is there."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import Struct

from bluestone.model.generation import Generation
from bluestone.model.group import Choice
from bluestone.model.ids import server_name
from bluestone.model.lazy import lazy
from bluestone.model.server import Server
from bluestone.model.volume import volume_name


class Create(Struct, frozen=True, dict=True):
    """Start a server of a generation in a slot. `choice` is its size and zone, where the group has a choice."""

    verb: ClassVar[str] = "create"
    slot: int
    incarnation: int
    generation: Generation
    reason: str
    choice: Choice | None = None

    @property
    def group(self) -> str:
        """The group that the server will belong to."""
        return self.generation.group

    @lazy
    def server(self) -> str:
        """The name that the server will have."""
        return server_name(self.group, self.slot, self.generation.image, self.incarnation)

    def coming(self, since: datetime) -> Server:
        """The server as it is while its creation, begun at `since`, is under way."""
        return Server(
            name=self.server,
            group=self.group,
            slot=self.slot,
            incarnation=self.incarnation,
            generation=self.generation.number,
            image=self.generation.image,
            config=self.generation.config.digest(),
            phase="creating",
            created_at=since,
            volumes=tuple(volume_name(self.group, self.slot, each.name) for each in self.generation.config.volumes),
        )


class Enrol(Struct, frozen=True):
    """Make the balancer know a server and check its health, without sending it requests."""

    verb: ClassVar[str] = "enrol"
    group: str
    server: str
    reason: str


class Attach(Struct, frozen=True):
    """Send requests to an enrolled, healthy server."""

    verb: ClassVar[str] = "attach"
    group: str
    server: str
    reason: str


class Detach(Struct, frozen=True):
    """Send a server no new requests; those that it holds go on (drain)."""

    verb: ClassVar[str] = "detach"
    group: str
    server: str
    reason: str


class Dismiss(Struct, frozen=True):
    """Make the balancer forget a detached server. `sever` ends the sessions that it still holds."""

    verb: ClassVar[str] = "dismiss"
    group: str
    server: str
    reason: str
    sever: bool = False


class Destroy(Struct, frozen=True):
    """Stop a server, so that its last log lines are sent, then remove it."""

    verb: ClassVar[str] = "destroy"
    group: str
    server: str
    reason: str


PAST = {
    "create": "created",
    "enrol": "enrolled",
    "attach": "attached",
    "detach": "detached",
    "dismiss": "dismissed",
    "destroy": "destroyed",
}
"""What an action that worked is called in the journal (`server.created`)."""

Action = Create | Enrol | Attach | Detach | Dismiss | Destroy
