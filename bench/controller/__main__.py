"""`./dev bench controller [--full] [--seconds N] [PART ...]`: what the controller promises, measured.

The last line is JSON. Each part has its time, together some 15 minutes; why one was cut stands under `cut`. `--full`
gives them all the time that they take: the soak then goes on for 1,000 replacements and 5 million requests. Without
peers on this machine there are no ratios: what others do with the same faults stands, with its sources, in
docs/explanation/what-others-do.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.controller import bad_image, destroy_first, drift, failover, fleet, kills, planner, soak
from bench.controller.bound import Part

PARTS: dict[str, Part] = {
    "plans": Part(planner.measure_plans, 15, ("plan_10k_ms", "lint_10k_ms")),
    "mutants": Part(planner.measure_mutants, 90, ("mutants", "mutants_survived")),
    "kills": Part(kills.measure, 110, ("kills", "kill_violations")),
    "fleet": Part(fleet.measure, 180, ("fleet_10k_s", "fleet_10k_mb")),
    "bad_image": Part(bad_image.measure, 45, ("bad_image_back_s", "bad_image_failed_share")),
    "drift": Part(drift.measure, 70, ("drift_replaced_s",)),
    "destroy_first": Part(destroy_first.measure, 150, ("destroy_first_failed", "destroy_first_worst_s")),
    "soak": Part(soak.measure, 60, ("failed_requests", "replacements", "requests")),
    "failover": Part(failover.measure, 130, ("failover_s", "stale_writes", "takeovers")),
    "histories": Part(planner.measure_histories, planner.SECONDS, ("histories", "histories_per_2_min")),
}


def main() -> None:
    """Measure and print. Fails if a part that was asked for has no figures."""
    parser = argparse.ArgumentParser(prog="./dev bench controller", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--full", action="store_true", help="as long as it takes (more than an hour)")
    parser.add_argument("--seconds", type=float, help="that each part may take, instead of its own time")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    # Who is told to end cleans up: servers and a balancer would stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    values: dict[str, float | None] = {}
    cut: dict[str, str] = {}
    for name in asked.parts or PARTS:
        began = time.monotonic()
        # How many histories there are within two minutes is the very figure.
        endless = asked.full and name != "histories"
        figures, why = PARTS[name].run(asked.seconds or (float("inf") if endless else PARTS[name].seconds))
        values |= figures
        if why:
            cut[name] = why
        print(f"{name}: {figures} ({time.monotonic() - began:.0f} s) {why}".rstrip(), flush=True)
    print(json.dumps({"bench": "controller", "ratios": {}, "values": values, "cut": cut}))
    if None in values.values():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
