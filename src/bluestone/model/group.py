"""A group of servers of one kind, as declared."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import timedelta
from math import ceil
from typing import Literal

import msgspec
from msgspec import Struct, field

from bluestone.model.hours import Hours
from bluestone.model.volume import VolumeSpec

StrategyName = Literal["blue-green", "rolling", "destroy-first"]


class Amount(Struct, frozen=True):
    """A number of servers, or a percentage of a group's count."""

    value: int
    percent: bool = False

    def of(self, count: int, *, up: bool) -> int:
        """How many of `count` servers this is, rounded up or down."""
        if not self.percent:
            return self.value
        exact = self.value * count / 100
        return ceil(exact) if up else int(exact)

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)


class Port(Struct, frozen=True):
    """A port that the balancer listens on (`bind`:`listen`) and the server's port behind it."""

    listen: int
    server: int
    mode: Literal["http", "tcp"] = "http"
    bind: str = "127.0.0.1"


class Health(Struct, frozen=True):
    """How the balancer finds out whether a server works: HTTP GET of `path`, or a connection if None."""

    path: str | None = None
    port: int | None = None
    interval: timedelta = timedelta(milliseconds=200)
    timeout: timedelta = timedelta(seconds=2)
    rise: int = 2
    fall: int = 3


class Resources(Struct, frozen=True):
    """Limits of one server: `memory` in bytes, `cpus` in cores. None is no limit."""

    memory: int | None = None
    cpus: float | None = None


class Choice(Struct, frozen=True):
    """A size of a server, and the zone of its provider where it is to run; empty for a provider without zones."""

    resources: Resources = Resources()
    zone: str = ""

    def __str__(self) -> str:
        memory, cpus = self.resources.memory, self.resources.cpus
        parts = [f"{memory / (1 << 20):g} MiB"] if memory is not None else []
        parts += [f"{cpus:g} cpus"] if cpus is not None else []
        size = ", ".join(parts) or "no limits"
        return f"{size} in zone {self.zone}" if self.zone else size


class SecretRef(Struct, frozen=True):
    """Where a secret's value comes from: `kind` `env` (a variable of bluestone's own) or `file` (a path)."""

    name: str
    kind: Literal["env", "file"]
    where: str


class RolloutPolicy(Struct, frozen=True):
    """How a group goes from one generation to the next.

    `drain` is the longest wait for a detached server's sessions, `long_sessions` what then becomes of those that are
    left: they are cut, or waited for as long as they last. `progress` is the longest that a new server may take until
    it is healthy, `min_ready` how long it must answer requests in health before it counts. `keep` is how long a
    blue-green's old servers stay, drained, for a rollback. `hold` is how long requests wait at the balancer while no
    server can take them.

    `canary` new servers come first and serve for `bake` beside the old, which are compared with them; `inconclusive`
    is what follows where that shows nothing. `on_failure` is what follows a generation that fails.
    """

    strategy: StrategyName = "blue-green"
    max_surge: Amount = Amount(1)
    max_unavailable: Amount = Amount(0)
    drain: timedelta = timedelta(seconds=30)
    long_sessions: Literal["cut", "wait"] = "cut"
    progress: timedelta = timedelta(minutes=2)
    min_ready: timedelta = timedelta(0)
    canary: Amount = Amount(0)
    bake: timedelta = timedelta(minutes=5)
    inconclusive: Literal["pause", "go-on"] = "pause"
    on_failure: Literal["rollback", "halt"] = "rollback"
    keep: timedelta = timedelta(0)
    hold: timedelta = timedelta(0)


class DriftPolicy(Struct, frozen=True):
    """What follows when a server of a group drifts.

    `ignore` are patterns of paths (with `*`, `?`, `**`) and of units that may differ.
    """

    then: Literal["replace", "report"] = "replace"
    ignore: tuple[str, ...] = ()


class LogPolicy(Struct, frozen=True):
    """What the servers of a group ship besides their journal, and what of all that never leaves them.

    `files` are absolute paths, their last part perhaps with `*` and `?`; `mask` are regular expressions.
    """

    files: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.mask)


class Group(Struct, frozen=True):
    """`[servers.NAME]`: how many servers of one kind, what they are started with, how they are replaced.

    Where there is no room for a server of `resources`, it is had in the first size of `fallback` for which there is.
    `zones` of the provider take turns by slot; one without room is passed over. `snapshots` are the volumes that are
    replaced by snapshots while the group sleeps.
    """

    name: str
    provider: str = "podman"
    count: int = 1
    ports: tuple[Port, ...] = ()
    health: Health = Health()
    resources: Resources = Resources()
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[SecretRef, ...] = ()
    volumes: tuple[VolumeSpec, ...] = ()
    rollout: RolloutPolicy = RolloutPolicy()
    on_drift: DriftPolicy = DriftPolicy()
    hours: Hours | None = None
    logs: LogPolicy = LogPolicy()
    fallback: tuple[Resources, ...] = ()
    zones: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 over the canonical JSON of this declaration: it tells whether a group is declared as it was."""
        return canonical_digest(self, unless_empty=("volumes", "hours", "logs", "fallback", "zones", "snapshots"))


def canonical_digest(value: Struct, *, unless_empty: Collection[str]) -> str:
    """SHA-256 over the canonical JSON of a value of the model, in hexadecimal digits.

    The fields `unless_empty` are left out where they are empty: what was written down before a field existed keeps its
    digest, so that a newer bluestone replaces no server for its own sake.
    """
    digest = hashlib.sha256()
    parts = [(name, getattr(value, name)) for name in value.__struct_fields__]
    members = [
        msgspec.json.encode(name) + b":" + msgspec.json.encode(part, order="deterministic")
        for name, part in parts
        if part or name not in unless_empty
    ]
    digest.update(b"{" + b",".join(members) + b"}")
    return digest.hexdigest()
