"""What the benchmarks of images share: what work costs, and what they come to."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Collection, Mapping
from statistics import median
from typing import NamedTuple


class Figures(NamedTuple):
    """Ratios to peers, and other values."""

    ratios: Mapping[str, float | None]
    values: Mapping[str, float | None]


class Cost(NamedTuple):
    """Seconds of processor time, and of the clock."""

    cpu: float
    wall: float


def cost(work: Callable[[], object], who: int) -> Cost:
    """What some work costs this process (`RUSAGE_SELF`) or the processes that it starts (`RUSAGE_CHILDREN`)."""
    before, began = resource.getrusage(who), time.monotonic()
    work()
    after, wall = resource.getrusage(who), time.monotonic() - began
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def medians(costs: list[Cost]) -> Cost:
    """The medians of each."""
    return Cost(median(each.cpu for each in costs), median(each.wall for each in costs))


def shown(costs: list[Cost]) -> str:
    """The last of some costs, for people."""
    return f"{costs[-1].cpu:.3f} s of processor, {costs[-1].wall:.3f} s"


def quiet(text: str) -> None:
    """Say nothing."""


def note(text: str) -> None:
    """Tell people how far it is."""
    print(text, file=sys.stderr, flush=True)


def measure_parts(
    bench: str,
    description: str | None,
    parts: Mapping[str, Callable[[], Figures]],
    only_named: Collection[str] = (),
) -> None:
    """Measure the parts that the command line names, and print: the last line is JSON.

    If it names none, all are measured but those of `only_named`.
    """
    usual = [title for title in parts if title not in only_named]
    parser = argparse.ArgumentParser(prog=f"./dev bench {bench}", description=description)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of: {', '.join(parts)}; if none is named: {', '.join(usual)}"
    )
    asked = parser.parse_args().parts
    if unknown := sorted(set(asked) - parts.keys()):
        parser.error(f"no part is called {', '.join(unknown)}: there are {', '.join(parts)}")
    ratios: dict[str, float | None] = {}
    values: dict[str, float | None] = {}
    try:
        for title in asked or usual:
            note(title)
            figures = parts[title]()
            ratios |= figures.ratios
            values |= figures.values
    finally:
        # What was measured is told also where a later part fails.
        print(json.dumps({"bench": bench, "ratios": ratios, "values": values}), flush=True)
