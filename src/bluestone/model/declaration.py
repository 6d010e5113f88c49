"""The declaration as a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from bluestone.model.group import Group, SecretRef
from bluestone.model.logs import LogKeeping, LogListening
from bluestone.model.notify import NotifyPolicy, ServePolicy
from bluestone.model.recipe import Recipe


@dataclass(frozen=True)
class Store:
    """Where the journal is, if not on this machine: a database's address, without its password."""

    address: str
    password: SecretRef | None = None


@dataclass(frozen=True)
class Declaration:
    """All of `bluestone.toml`. `recipe` is its `[image]`, `serve` and `notify` are what the daemon does.

    `store` is None for the journal on this machine; `logs` is how lines are kept, `listen` where
    those of others than servers are taken in.
    """

    project: str
    recipe: Recipe
    groups: tuple[Group, ...]
    store: Store | None = None
    logs: LogKeeping = field(default_factory=LogKeeping)
    listen: LogListening = field(default_factory=LogListening)
    serve: ServePolicy = field(default_factory=ServePolicy)
    notify: NotifyPolicy = field(default_factory=NotifyPolicy)
