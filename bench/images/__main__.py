"""`./dev bench images`: builds against mmdebstrap, bills against syft, disks and containers; the last line is JSON."""

from __future__ import annotations

import argparse
import json

from bench.images import builds, engines, formats, sbom
from bench.images.figures import note

PARTS = {
    "builds": builds.measure,
    "engines": engines.measure,
    "formats": formats.measure,
    "bills": sbom.measure,
}


def main() -> None:
    """Measure what is asked for, or everything, and print it."""
    parser = argparse.ArgumentParser(prog="./dev bench images", description=__doc__)
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
    print(json.dumps({"bench": "images", "ratios": ratios, "values": values}))


if __name__ == "__main__":
    main()
