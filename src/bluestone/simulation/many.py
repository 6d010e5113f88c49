"""Plays many histories, on all processors, for as long as there is time."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


def play_many(
    play: Callable[[int], Result], first: int, number: int, *, seconds: float = float("inf"), processes: int = 0
) -> list[Result]:
    """What `play` returns for each seed from `first` on: `number` of them, or as many as `seconds` (of wall) allow.

    `play` is a function of a module (other processes load it by its name). What it raises is raised; `processes` is one
    for each processor if it is 0.
    """
    processes = min(processes or len(os.sched_getaffinity(0)), number)
    deadline = time.monotonic() + seconds
    if processes <= 1:
        return _share(play, range(first, first + number), deadline)
    with ProcessPoolExecutor(processes) as pool:
        shares = [range(first + offset, first + number, processes) for offset in range(processes)]
        results = [pool.submit(_share, play, share, deadline) for share in shares]
        return [result for part in results for result in part.result()]


def _share(play: Callable[[int], Result], seeds: range, deadline: float) -> list[Result]:
    """The results of one process. The clock that it looks at is the machine's: the same for all processes."""
    results: list[Result] = []
    with _seldom_collecting():
        for seed in seeds:
            if time.monotonic() >= deadline:
                break
            results.append(play(seed))
    return results


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """A history leaves little behind that refers to itself, and looking for that takes a tenth of its time. What is
    there already stays, and is not looked through at all."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(1_000_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
