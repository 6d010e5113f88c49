"""Which servers there are, for whoever is about to make another: asking podman anew takes some 0.1 s each time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bluestone.fleet.providers.podman.directories import Directories
from bluestone.model.server import Server

FRESH = 4.0
"""Seconds for which a list is good for creates, as long as nobody else makes or destroys servers."""


class Crowd(NamedTuple):
    """The servers by container name, as listed `at` some second; good while the directories bear this `stamp`."""

    stamp: int
    at: float
    servers: dict[str, Server]


class Census:
    """What the last list showed, with what was made and destroyed since, and what is being made now.

    `look` lists the servers by container name. Methods that say so are called under the directories' lock.
    """

    def __init__(self, directories: Directories, look: Callable[[], dict[str, Server]]) -> None:
        self._directories = directories
        self._look = look
        self._crowd: Crowd | None = None
        self._busy: set[str] = set()
        self._coming: dict[str, Server] = {}
        self._changed = threading.Condition()

    def take(self) -> dict[str, Server]:
        """Every server there is, by container name, as podman tells now."""
        stamp, at = self._directories.stamp(), time.monotonic()
        servers = self._look()
        with self._changed:
            self._crowd = Crowd(stamp, at, servers)
        return servers.copy()

    @contextmanager
    def making(self, container: str) -> Iterator[None]:
        """Make a server of that name, alone in this process: what it is to be is counted in from `expect` on."""
        with self._changed:
            self._changed.wait_for(lambda: container not in self._busy)
            self._busy.add(container)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(container)
                self._coming.pop(container, None)
                self._changed.notify_all()

    def around(self, container: str) -> dict[str, Server]:
        """The servers by container name, for whoever is about to make `container`. Called under the lock.

        As they were listed lately, if only this provider made or destroyed servers since, and none of that name: what
        has become of one that was made is seen by looking only.
        """
        with self._changed:
            crowd, coming = self._crowd, self._coming.copy()
        if crowd is None or container in crowd.servers or not self._is_fresh(crowd):
            return coming | self.take()
        return coming | crowd.servers

    def expect(self, container: str, made: Server) -> None:
        """Count a server in that is about to be made. Called under the lock."""
        with self._changed:
            self._coming[container] = made
            self._count(container, made)

    def arrived(self, container: str, made: Server) -> None:
        """A server was made: a list that was taken meanwhile may have left it out."""
        with self._changed:
            self._count(container, made, self._crowd.stamp if self._crowd else 0)

    def forget(self, name: str, container: str) -> None:
        """Remove the directory of a server that is gone, and count it out. Called under the lock."""
        with self._changed:
            crowd = self._crowd
            fresh = crowd is not None and self._is_fresh(crowd)
            self._directories.remove(name)
            if crowd is not None and fresh:
                rest = {other: server for other, server in crowd.servers.items() if other != container}
                self._crowd = Crowd(self._directories.stamp(), crowd.at, rest)

    def _count(self, container: str, made: Server, stamp: int | None = None) -> None:
        if (crowd := self._crowd) is not None:
            stamp = self._directories.stamp() if stamp is None else stamp
            self._crowd = Crowd(stamp, crowd.at, {**crowd.servers, container: made})

    def _is_fresh(self, crowd: Crowd) -> bool:
        return crowd.stamp == self._directories.stamp() and time.monotonic() - crowd.at < FRESH
