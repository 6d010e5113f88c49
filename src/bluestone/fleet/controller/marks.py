"""What the journal knows of single servers, brought up to date by each of its entries. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bluestone.model.event import Event
from bluestone.model.memory import Taint

MARKING = (
    "server.enrol",
    "server.tainted",
    "server.attach",
    "server.detach",
    "server.down",
    "server.up",
    "server.destroy",
    "server.died",
)
"""The kinds of entries that leave a mark. Of each server, the newest of each kind says it all."""


@dataclass
class Marks:
    """By server, what `Memory` has under the same names. `servers` are those that are known here, with marks or not."""

    servers: set[str] = field(default_factory=set)
    enrolled_at: dict[str, datetime] = field(default_factory=dict)
    attached_at: dict[str, datetime] = field(default_factory=dict)
    detached_at: dict[str, datetime] = field(default_factory=dict)
    down_since: dict[str, datetime] = field(default_factory=dict)
    condemned: set[str] = field(default_factory=set)
    died: set[str] = field(default_factory=set)
    taints: dict[str, Taint] = field(default_factory=dict)

    def follow(self, event: Event) -> None:
        """Take in an entry; those of a server come in the order of the journal. Once more does no harm."""
        server = event.server
        match event.kind:
            case "server.enrol":
                self.enrolled_at[server] = event.at
            case "server.attach":
                self.attached_at[server] = max(event.at, self.attached_at.get(server, event.at))
                self.detached_at.pop(server, None)
            case "server.up":
                self.attached_at[server] = max(event.at, self.attached_at.get(server, event.at))
                self.down_since.pop(server, None)
            case "server.detach":
                self.detached_at[server] = event.at
            case "server.down":
                self.down_since[server] = event.at
            case "server.tainted":
                self.taints[server] = Taint(event.data.get("cause", ""), event.message)
            case "server.destroy":
                self.condemned.add(server)
            case "server.died":
                self.died.add(server)

    def forget(self, server: str) -> None:
        """Nobody asks for it any more."""
        self.servers.discard(server)
        for marks in (self.enrolled_at, self.attached_at, self.detached_at, self.down_since, self.taints):
            marks.pop(server, None)
        self.condemned.discard(server)
        self.died.discard(server)
