"""A server: what is asked of a provider, and what a provider reports."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from bluestone.model.generation import Generation
from bluestone.model.group import Choice, Resources
from bluestone.model.ids import Digest, server_name
from bluestone.model.volume import VolumeSpec, volume_name

Phase = Literal["creating", "running", "stopping", "dead"]
"""creating: exists, never started. running: started. stopping: asked to stop. dead: ended."""


class Endpoint(Struct, frozen=True):
    """Where a server is reached: `ports` maps the server's own port to the one to connect to at `host`."""

    host: str
    ports: dict[int, int]


class ServerSpec(Struct, frozen=True):
    """What a provider needs to create a server.

    `bootfiles` (relative path -> content) appear under `/run/bluestone` on the server before its init starts,
    readable by its root alone; they carry the environment, secrets and the log credential. `epoch` is the lease's, of
    whoever asked. `choice` is one of several sizes and zones; None where the group has no choice.
    """

    project: str
    slot: int
    incarnation: int
    generation: Generation
    writable: tuple[str, ...] = ()
    bootfiles: dict[str, bytes] = field(default_factory=dict)
    epoch: int = 0
    choice: Choice | None = None

    def __repr__(self) -> str:
        # Without the boot files: no message and no trace may show secrets.
        return f"ServerSpec({self.project!r}, {self.name!r}, {self.generation!r}, epoch={self.epoch})"

    @property
    def group(self) -> str:
        """The group that the server belongs to."""
        return self.generation.group

    @property
    def resources(self) -> Resources:
        """The size that the server is to have."""
        return self.choice.resources if self.choice else self.generation.config.resources

    @property
    def name(self) -> str:
        """The server's name."""
        return server_name(self.group, self.slot, self.generation.image, self.incarnation)

    @property
    def volumes(self) -> dict[str, VolumeSpec]:
        """The volumes of its slot, by name."""
        return {volume_name(self.group, self.slot, each.name): each for each in self.generation.config.volumes}


class Server(Struct, frozen=True):
    """A server as a provider reports it. `detail` says why it is dead, if it is; `volumes` are the names of those that
    it holds, as it does until it is gone."""

    name: str
    group: str
    slot: int
    incarnation: int
    generation: int
    image: Digest
    config: Digest
    phase: Phase
    created_at: datetime
    endpoint: Endpoint | None = None
    detail: str = ""
    volumes: tuple[str, ...] = ()
