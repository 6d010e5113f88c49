"""Servers that nobody declared: which there are, and whose they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Literal

from msgspec import Struct

from bluestone.fleet.controller.strays import Register
from bluestone.fleet.provider import Provider
from bluestone.model.drift import Bystander
from bluestone.model.inventory import Inventory
from bluestone.model.problem import Problem
from bluestone.model.server import Server


class Stray(Struct, frozen=True):
    """Something that is there and that nobody declared.

    `left`: a server that bluestone made, of a group that is not declared. `unknown`: it bears bluestone's marks, but
    the journal knows nothing of it. `bystander`: it bears none. Only the first is ever removed.
    """

    name: str
    kind: Literal["left", "unknown", "bystander"]
    what: str


def strays(
    inventory: Inventory, groups: Collection[str], register: Register, beside: Iterable[Bystander]
) -> Iterator[Stray]:
    """What is there beside the servers of these groups; `beside` are the bystanders."""
    for server in left_servers(inventory, groups, register):
        yield Stray(server.name, "left", f"a server of {server.group}, which is not declared; {server.phase}")
    for server in (s for s in inventory.servers if s.group not in groups and not register.journaled(s.name)):
        yield Stray(server.name, "unknown", f"a server of {server.group} that this journal does not know")
    for server in inventory.strays:
        yield Stray(server.name, "unknown", f"it bears the marks of {server.group}, but bluestone did not make it")
    for bystander in beside:
        yield Stray(bystander.name, "bystander", bystander.what)


def bystanders(providers: Iterable[Provider]) -> list[Bystander]:
    """What runs beside the servers at these providers. One that cannot be asked is among the gaps of a look already."""
    found: list[Bystander] = []
    for provider in providers:
        with suppress(Problem):
            found += provider.list_bystanders()
    return found


def left_servers(inventory: Inventory, groups: Collection[str], register: Register) -> list[Server]:
    """The servers of undeclared groups that bluestone made, by their marks and by its journal."""
    return [s for s in inventory.servers if s.group not in groups and register.journaled(s.name)]
