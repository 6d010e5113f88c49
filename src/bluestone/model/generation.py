"""What the servers of a group are at one point of its history."""

from __future__ import annotations

from msgspec import Struct, field

from bluestone.model.group import Group, Health, LogPolicy, Resources, SecretRef, canonical_digest
from bluestone.model.ids import Digest
from bluestone.model.lazy import lazy
from bluestone.model.volume import VolumeSpec


class ServerConfig(Struct, frozen=True, dict=True):
    """What a server is started with besides its image.

    `ports` are the server's own ports that the balancer must reach, `health` how it is found out whether it works
    there: another check may ask for a page that a running server does not have, so it makes another generation.
    `secrets_digest` changes when a secret's value does (a keyed hash: the value cannot be guessed from it).
    """

    provider: str
    ports: tuple[int, ...] = ()
    health: Health | None = None
    resources: Resources = field(default_factory=Resources)
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[SecretRef, ...] = ()
    secrets_digest: str = ""
    volumes: tuple[VolumeSpec, ...] = ()
    logs: LogPolicy = field(default_factory=LogPolicy)

    @classmethod
    def of(cls, group: Group, secrets_digest: str) -> ServerConfig:
        """The part of a group's declaration that a running server cannot take on without being replaced."""
        ports = {port.server for port in group.ports}
        if group.ports and group.health.port:
            ports.add(group.health.port)
        return cls(
            provider=group.provider,
            ports=tuple(sorted(ports)),
            health=group.health if group.ports else None,
            resources=group.resources,
            environment=dict(group.environment),
            secrets=group.secrets,
            secrets_digest=secrets_digest,
            volumes=group.volumes,
            logs=group.logs,
        )

    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON of this configuration."""
        return self._digest

    @lazy
    def _digest(self) -> Digest:
        return Digest("sha256:" + canonical_digest(self, unless_empty=("volumes", "logs")))


class Generation(Struct, frozen=True):
    """Image and configuration of a group, numbered from 1. Servers of one generation are alike."""

    group: str
    number: int
    image: Digest
    config: ServerConfig
