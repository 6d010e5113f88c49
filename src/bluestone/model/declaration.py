"""The declaration as a value."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct, field

from bluestone.model.cost import CostPolicy
from bluestone.model.group import Group, SecretRef
from bluestone.model.logs import LogKeeping, LogListening, LogSink
from bluestone.model.notify import NotifyPolicy, ServePolicy
from bluestone.model.patching import PatchPolicy
from bluestone.model.recipe import Recipe
from bluestone.model.web import WebPolicy


class Store(Struct, frozen=True):
    """Where the journal is, if not on this machine: a database's address, without its password."""

    address: str
    password: SecretRef | None = None


class Declaration(Struct, frozen=True):
    """All of `bluestone.toml`. `recipe` is its `[image]`, `serve` and `notify` are what the daemon does,
    `patch` by when fixes must be on the servers.

    `store` is None for the journal on this machine; `logs` is how lines are kept; `cost` is None where nobody counts.
    No server may be older than `max_age`.
    `listen` is where the lines of others than servers are taken in, `web` where they are looked at, `sinks` where all
    lines go besides the store.
    """

    project: str
    recipe: Recipe
    groups: tuple[Group, ...]
    store: Store | None = None
    logs: LogKeeping = field(default_factory=LogKeeping)
    cost: CostPolicy | None = None
    max_age: timedelta | None = None
    listen: LogListening = field(default_factory=LogListening)
    web: WebPolicy = field(default_factory=WebPolicy)
    sinks: tuple[LogSink, ...] = ()
    serve: ServePolicy = field(default_factory=ServePolicy)
    notify: NotifyPolicy = field(default_factory=NotifyPolicy)
    patch: PatchPolicy = field(default_factory=PatchPolicy)
