"""Which servers bluestone made: what bears its marks may have been made by anybody.

Whatever bluestone creates it writes to the journal first. So a server that is younger than the journal, and of whose
creation nothing stands there, was made by somebody else: it is neither counted, nor led anywhere, nor destroyed. One
that is older than the journal may have been made by bluestone, and the journal lost since: there its marks decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from bluestone.fleet.controller.journal import Journal
from bluestone.model.inventory import Inventory
from bluestone.model.server import Server


class Register:
    """Tells bluestone's own servers from others. What it once knew as its own is so for ever."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._own: set[str] = set()
        self._began: datetime | None = None

    def own(self, servers: Iterable[Server]) -> list[Server]:
        """Those that bluestone made."""
        return [server for server in servers if self._is_own(server)]

    def journaled(self, server: str) -> bool:
        """Whether the journal knows of the server's creation."""
        return self._journal.last(("server.create",), server=server) is not None

    def part(self, inventory: Inventory) -> Inventory:
        """The inventory with the servers that others made set apart."""
        if inventory.names <= self._own:
            return inventory
        unknown = [server for server in inventory.servers if server.name not in self._own]
        strays = tuple(server for server in unknown if not self._is_own(server))
        if not strays:
            return inventory
        others = {server.name for server in strays}
        own = tuple(server for server in inventory.servers if server.name not in others)
        return replace(inventory, servers=own, strays=strays)

    def _is_own(self, server: Server) -> bool:
        if server.name in self._own:
            return True
        began = self._beginning()
        if began is None or server.created_at <= began or self.journaled(server.name):
            self._own.add(server.name)
            return True
        return False

    def _beginning(self) -> datetime | None:
        """Since when the journal knows of servers: they are only made in rollouts."""
        if self._began is None:
            started = self._journal.select(("rollout.started",))
            self._began = started[-1].at if started else None
        return self._began
