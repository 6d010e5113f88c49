"""A project's log lines, ready to be asked again and again: what a process that serves keeps open between questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from bluestone.app import wiring
from bluestone.app.logs.logs import Asked, Reading
from bluestone.app.project import Project

if TYPE_CHECKING:
    from bluestone.logs.backend import Backend

IDLE = 30.0
"""Seconds for which what nobody asks stays open: files that retention removed take their space until it is closed."""

MOST = 4
"""That stay open."""


class Ready:
    """Stores that were opened for one question stay open for the next. Threads may share it; each gets its own."""

    def __init__(self, project: Project, clock: Callable[[], float] = time.monotonic) -> None:
        self._project, self._clock = project, clock
        self._idle: list[tuple[float, Backend]] = []
        self._lock = Lock()

    @contextmanager
    def reading(self, asked: Asked) -> Iterator[Reading]:
        """Ask the project's store. Raises `Problem` as `logs.reading` does; it is opened anew after any exception."""
        with self._lock:
            _, backend = self._idle.pop() if self._idle else (0.0, None)
        backend = backend or wiring.log_backend(self._project)
        try:
            yield Reading(self._project, backend, asked)
        except BaseException:
            backend.close()
            raise
        with self._lock:
            if len(self._idle) < MOST:
                self._idle.append((self._clock(), backend))
                return
        backend.close()

    def close_idle(self) -> bool:
        """Close what nobody asked for `IDLE` seconds; whether any is open still."""
        limit = self._clock() - IDLE
        with self._lock:
            old = [backend for since, backend in self._idle if since <= limit]
            self._idle = [each for each in self._idle if each[0] > limit]
            left = bool(self._idle)
        for backend in old:
            backend.close()
        return left
