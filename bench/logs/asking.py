"""Asks stores the same questions by turns, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

ROUNDS, LONG = 15, 20.0
"""A question is asked so often, unless that takes longer than these seconds."""


class Asked(Protocol):
    """A store that is asked."""

    def questions(self) -> Mapping[str, Callable[[], None]]:
        """What asks it, by the name of the question; each compares the answer with the truth."""

    def cpu(self) -> float:
        """CPU seconds that it took so far."""


def ask(stores: Sequence[Asked]) -> list[dict[str, float]]:
    """For each store and question milliseconds until its answer (the median) and of CPU (the mean)."""
    measured: list[dict[str, float]] = [{} for _ in stores]
    questions = [store.questions() for store in stores]
    for name in dict.fromkeys(name for each in questions for name in each):
        asked = [place for place, each in enumerate(questions) if name in each]
        times: dict[int, list[float]] = {place: [] for place in asked}
        spent = dict.fromkeys(asked, 0.0)
        began = time.monotonic()
        while not times[asked[-1]] or (len(times[asked[-1]]) < ROUNDS and time.monotonic() - began < LONG):
            for place in asked:
                cpu, start = stores[place].cpu(), time.perf_counter()
                questions[place][name]()
                times[place].append((time.perf_counter() - start) * 1e3)
                spent[place] += (stores[place].cpu() - cpu) * 1e3
        for place in asked:
            measured[place][f"{name}_ms"] = statistics.median(times[place])
            measured[place][f"{name}_cpu_ms"] = spent[place] / len(times[place])
    return measured
