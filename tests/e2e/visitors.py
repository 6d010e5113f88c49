"""People who ask for a page all the time, and count how that went."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections import Counter

from machine import Machine


class Visitors:
    """Ask for the page all the time, from two threads; count the statuses."""

    def __init__(self, machine: Machine) -> None:
        self.statuses: Counter[int] = Counter()
        self._machine = machine
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._visit) for _ in range(2)]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _visit(self) -> None:
        while not self._end.wait(0.005):
            try:
                with urllib.request.urlopen(self._machine.url, timeout=5) as answer:
                    self.statuses[answer.status] += 1
            except urllib.error.HTTPError as error:
                self.statuses[error.code] += 1
