"""What is remembered of single servers, brought up to date by each entry of the journal, and by each fact that is about
to be one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from bluestone.model.memory import Memory, Taint

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

    @classmethod
    def of(cls, memory: Memory) -> Marks:
        """Those that a memory has, to be changed without changing it."""
        return cls(
            enrolled_at=memory.enrolled_at.copy(),
            attached_at=memory.attached_at.copy(),
            detached_at=memory.detached_at.copy(),
            down_since=memory.down_since.copy(),
            condemned=set(memory.condemned),
            died=set(memory.died),
            taints=memory.taints.copy(),
        )

    def put_into(self, memory: Memory) -> Memory:
        """The same memory with these marks. It does not change with them."""
        return replace(
            memory,
            enrolled_at=self.enrolled_at.copy(),
            attached_at=self.attached_at.copy(),
            detached_at=self.detached_at.copy(),
            down_since=self.down_since.copy(),
            condemned=frozenset(self.condemned),
            died=frozenset(self.died),
            taints=self.taints.copy(),
        )

    def follow(self, kind: str, server: str, at: datetime, *, cause: str = "", reason: str = "") -> None:
        """Take in an entry; those of a server come in the order of the journal. Once more does no harm."""
        match kind:
            case "server.enrol":
                self.enrolled_at[server] = at
            case "server.attach":
                self.attached_at[server] = max(at, self.attached_at.get(server, at))
                self.detached_at.pop(server, None)
            case "server.up":
                self.attached_at[server] = max(at, self.attached_at.get(server, at))
                self.down_since.pop(server, None)
            case "server.detach":
                self.detached_at[server] = at
            case "server.down":
                self.down_since[server] = at
            case "server.tainted":
                self.taints[server] = Taint(cause, reason)
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
