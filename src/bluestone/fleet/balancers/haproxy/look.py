"""Looking at HAProxy: what it answers is waited for until it is whole, and put together with the roster."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bluestone.fleet.balancers.haproxy.observation import Sight, is_whole, put_together
from bluestone.fleet.balancers.haproxy.roster import Roster
from bluestone.fleet.balancers.haproxy.runtime import Runtime, Statistics, Unsettled

Answer = TypeVar("Answer")

SETTLE_PATIENCE = 2.0
"""Seconds for which an answer may be cut short by a reload, or by a change that somebody else makes."""


class Look:
    """Looks at servers in HAProxy. `tidy` is set by whoever tidies, and unset by a look that shows half a change."""

    def __init__(self, runtime: Runtime, roster_file: Path) -> None:
        self._runtime = runtime
        self._roster_file = roster_file
        self.tidy = False

    def servers(self) -> dict[str, Sight]:
        """Every server in HAProxy, by name; none if HAProxy has nothing to offer."""
        sights, _ = self.servers_and_statistics()
        return sights

    def servers_and_statistics(self) -> tuple[dict[str, Sight], Statistics]:
        """The same, and what HAProxy tells of them besides."""
        return self.settled(self._see)

    def settled(self, ask: Callable[[], Answer]) -> Answer:
        """Ask again while a reload, or a change by somebody else, cuts the answer short."""
        end = time.monotonic() + SETTLE_PATIENCE
        while True:
            try:
                return ask()
            except Unsettled:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def _see(self) -> tuple[dict[str, Sight], Statistics]:
        roster = Roster.load(self._roster_file)
        if roster is None or not roster.services:
            return {}, Statistics({}, {}, {})
        replaced = []
        for worker in self._runtime.replaced_workers():
            try:
                replaced.append(self._runtime.sessions(worker))
            except Unsettled:
                if worker in self._runtime.replaced_workers():
                    raise
        entries = self._runtime.entries()
        told = self._runtime.statistics()
        sights = put_together(roster, entries, told.sessions, replaced)
        if not all(is_whole(roster, sight) for sight in sights.values()):
            self.tidy = False
        return sights, told
