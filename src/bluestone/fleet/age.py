"""Servers that have become older than they may be. Pure.

Age is one more taint: such a server is replaced by its group's strategy, within its budget, like any that has to go.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from bluestone.model.inventory import Inventory
from bluestone.model.server import Server

AGE = "age"
"""The cause of the taint, as the journal has it."""


def too_old(inventory: Inventory, tainted: Collection[str], max_age: timedelta) -> list[Server]:
    """The running servers that are as old as they may be and have no taint yet; none in an incomplete view."""
    if not inventory.complete:
        return []
    old = (server for server in inventory.servers if server.phase == "running" and server.name not in tainted)
    return [server for server in old if inventory.at - server.created_at >= max_age]


def why(server: Server, max_age: timedelta) -> str:
    """The reason, as a person reads it."""
    return f"it is from {server.created_at:%d %b %H:%M} UTC, and none may be older than {max_age}"
