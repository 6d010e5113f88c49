"""Sends the same events to several stores by turns: while one takes them the others stand still.

So each has the machine for itself, and what else the machine does hits all of them alike.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from bench.logs.events import Event
from bench.logs.truth import read

BATCH = 2000
CONNECTIONS = 4
TURN = 200_000
"""Events that one store takes before it is another's turn."""


class Taking(Protocol):
    """A store that is sent to."""

    seconds: float
    """How long it took so far."""

    def batches(self, events: Sequence[Event]) -> Sequence[Any]:
        """The events as it takes them; not measured."""

    def take(self, batches: Sequence[Any]) -> None:
        """Return when all of it is acknowledged."""

    def processes(self) -> list[int]:
        """What serves it."""


def send(path: Path, stores: Sequence[Taking]) -> None:
    """Send all events of a file to each store."""
    events = iter(read(path))
    for store in stores:
        _signal(store, signal.SIGSTOP)
    try:
        while turn := list(islice(events, TURN)):
            for store in stores:
                batches = store.batches(turn)
                _signal(store, signal.SIGCONT)
                began = time.monotonic()
                store.take(batches)
                store.seconds += time.monotonic() - began
                _signal(store, signal.SIGSTOP)
    finally:
        for store in stores:
            _signal(store, signal.SIGCONT)


def alone(stores: Sequence[Taking], store: Taking, work: Callable[[], Any]) -> Any:
    """What work on one store gives, while the others stand still."""
    others = [each for each in stores if each is not store]
    for each in others:
        _signal(each, signal.SIGSTOP)
    try:
        return work()
    finally:
        for each in others:
            _signal(each, signal.SIGCONT)


def posted(post: Callable[..., None], requests: Iterable[tuple[Any, ...]]) -> None:
    """Have requests made from several connections; as many wait as are under way."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        waiting: list[Any] = []
        for request in requests:
            waiting.append(pool.submit(post, *request))
            if len(waiting) >= 2 * CONNECTIONS:
                waiting.pop(0).result()
        for each in waiting:
            each.result()


def _signal(store: Taking, number: signal.Signals) -> None:
    for process in store.processes():
        with suppress(ProcessLookupError):
            os.kill(process, number)
