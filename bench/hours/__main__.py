"""`./dev bench hours [--years N] [--first N] [PART ...]`: openings met, money saved, the ledger, zones, and speed.

PARTs, all unless some are named: years, zones, speed, wake. The last line is JSON. Times of `speed` are CPU
milliseconds, medians of several runs; `wake_s` is wall time on podman, the median of several.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from statistics import median

from bench.hours import wake, year, zones
from bluestone.hours.calendar import timetable
from bluestone.hours.days import holidays_of
from bluestone.hours.decide import Known, decide
from bluestone.hours.ledger import cents
from bluestone.model.group import Group
from bluestone.model.hours import Hours, Period
from bluestone.simulation.many import play_many

RUNS = 9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench hours")
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--years", type=int, default=10, help="simulated years")
    parser.add_argument("--first", type=int, default=0, help="the first of them, from 0")
    asked = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "zones": measure_zones,
        "speed": measure_speed,
        "years": lambda: measure_years(asked.first, asked.years),
        "wake": wake.measure,
    }
    if unknown := set(asked.parts) - parts.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    values: dict[str, float] = {}
    try:
        for name, measure in parts.items():
            if not asked.parts or name in asked.parts:
                began = time.monotonic()
                values |= measure()
                print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    finally:
        # What was measured is told also where a later part fails.
        print(json.dumps({"bench": "hours", "ratios": {}, "values": values}), flush=True)


def measure_years(first: int, number: int) -> dict[str, float]:
    """Years of office hours, each a history of its own."""
    found = play_many(year.play, first, number)
    openings = sum(each.openings for each in found)
    misses = [miss for each in found for miss in each.misses]
    for opening, why in misses[:20]:
        print(f"missed {opening:%Y-%m-%d %H:%M} UTC: {why or 'NOT EXPLAINED'}")
    spent, stored, always, lead = (
        sum((getattr(each, name) for each in found), Fraction(0)) for name in ("spent", "stored", "always", "lead")
    )
    differences = [abs(cents(each.spent) - cents(each.billed)) for each in found]
    leads = [lead for each in found for lead in each.leads]
    print(
        f"{openings} openings, {len(misses)} missed; leads {median(leads):.0f} s, at most {max(leads):.0f} s;"
        f" {cents(spent - stored)} of {cents(always)} EUR spent, and {cents(stored)} for storage; ledger and bill of"
        f" each year differ by {[float(each.spent - each.billed) for each in found]}"
    )
    return {
        "openings": openings,
        "ready_by_pct": round(100 * (1 - len(misses) / openings), 3),
        "unexplained": sum(not why for _, why in misses),
        "saved_pct": round(float(100 * (1 - (spent - stored) / always)), 2),
        "storage": float(cents(stored)),
        "lead_cost_points": round(float(100 * lead / always), 3),
        "ledger_difference": float(max(differences)),
    }


def measure_zones() -> dict[str, float]:
    """Every zone against the C library."""
    number, compared, errors, first = zones.measure()
    print(f"{number} zones, {compared} instants compared, {errors} wrong", *first, sep="\n  ")
    return {"zones": number, "zone_instants": compared, "zone_errors": errors}


def measure_speed() -> dict[str, float]:
    """A year of one group's calendar, expanded anew; and the counts of 1,000 groups at an instant."""
    hours = Hours((Period("Mo-Fr 08:00-18:00; PH off; Dec 24-31 off", 3),), "Europe/Berlin", "DE", "BW")
    days = holidays_of(hours, range(2026, 2028)).days
    years = [_cpu(lambda: timetable(hours, days, date(2026, 1, 1), date(2027, 1, 1))) for _ in range(RUNS)]
    chance, now = random.Random(1), datetime(2026, 11, 30, 7, 30, tzinfo=UTC)
    groups, tables = [], {}
    for number in range(1000):
        when = f"Mo-Fr {chance.randint(5, 9):02}:{chance.randint(0, 59):02}-{chance.randint(15, 22)}:00; PH off"
        its = Hours((Period(when, 3),), "Europe/Berlin", "DE", "BW")
        groups.append(Group(f"g{number}", count=3, hours=its))
        tables[f"g{number}"] = timetable(its, days, date(2026, 11, 1), date(2026, 12, 31))
    at = now.timestamp()
    counts = [_cpu(lambda: [tables[group.name].count_at(at) for group in groups]) for _ in range(RUNS)]
    known = Known(tables, leads={group.name: 90.0 for group in groups})
    whole = [_cpu(lambda: decide(groups, known, now + timedelta(0))) for _ in range(RUNS)]
    print(
        f"a year {median(years):.1f} ms; 1,000 counts {median(counts):.2f} ms, decided with all reasons "
        f"{median(whole):.1f} ms"
    )
    return {
        "year_ms": round(median(years), 2),
        "groups_ms": round(median(counts), 2),
        "decide_ms": round(median(whole), 1),
    }


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


if __name__ == "__main__":
    main()
