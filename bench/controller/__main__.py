"""`./dev bench controller [--soak MINUTES] [PART ...]`: what the controller promises, measured; the last line is JSON.

Without peers on this machine there are no ratios: what others do with the same faults stands, with its sources, in
docs/explanation/what-others-do.md. PARTs, all unless some are named: plans, histories, mutants, kills, fleet,
bad_image, soak, drift, destroy_first, failover.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.controller import fleet, kills, planner, podman

Measure = Callable[[], dict[str, float]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench controller")
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--soak", type=float, default=1.0, metavar="MINUTES", help="of replacements on podman")
    asked = parser.parse_args()
    parts: dict[str, Measure] = {
        "plans": planner.measure_plans,
        "histories": planner.measure_histories,
        "mutants": planner.measure_mutants,
        "kills": kills.measure,
        "fleet": fleet.measure,
        "bad_image": podman.measure_bad_image,
        "soak": lambda: podman.measure_soak(asked.soak * 60),
        **{name: found for name in ("drift", "destroy_first", "failover") if (found := _elsewhere(name))},
    }
    if unknown := set(asked.parts) - parts.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    values: dict[str, float] = {}
    for name, measure in parts.items():
        if asked.parts and name not in asked.parts:
            continue
        began = time.monotonic()
        measured = measure()
        values |= measured
        print(f"{name}: {measured} ({time.monotonic() - began:.0f} s)", flush=True)
    print(json.dumps({"bench": "controller", "ratios": {}, "values": values}))


def _elsewhere(name: str) -> Measure | None:
    """The part that has a file of its own, if it is there."""
    module = f"bench.controller_{name}"
    if importlib.util.find_spec(module) is None:
        return None
    measure: Measure = importlib.import_module(module).measure
    return measure


if __name__ == "__main__":
    main()
