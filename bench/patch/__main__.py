"""`./dev bench patch [PART ...]`: versions, inventory, matching, feeds and their faults, Java archives, a fleet;
the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys

sys.path.insert(0, "tests")

from bench.images.figures import note
from bench.patch import faults, inventory, jars, loop, matching, osv_zip, truth, versions

PARTS = {
    "versions": versions.measure,
    "inventory": inventory.measure,
    "matching": matching.measure,
    "osv": osv_zip.measure,
    "truth": truth.measure,
    "jars": jars.measure,
    "faults": faults.measure,
    "loop": loop.measure,
}


def main() -> None:
    """Measure what is asked for, or everything, and print it."""
    parser = argparse.ArgumentParser(prog="./dev bench patch", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}; all if none is named")
    parts = parser.parse_args().parts
    if unknown := sorted(set(parts) - PARTS.keys()):
        parser.error(f"no part is called {', '.join(unknown)}: there are {', '.join(PARTS)}")
    ratios: dict[str, float | None] = {}
    values: dict[str, float | None] = {}
    for title in parts or PARTS:
        note(title)
        figures = PARTS[title]()
        ratios |= figures.ratios
        values |= figures.values
    print(json.dumps({"bench": "patch", "ratios": ratios, "values": values}))


if __name__ == "__main__":
    main()
