"""`./dev bench images`: builds against mmdebstrap, bills against syft, disks and containers; the last line is JSON."""

from __future__ import annotations

import json

from bench.images import builds, formats, sbom
from bench.images.figures import note


def main() -> None:
    """Measure everything and print it."""
    ratios: dict[str, float | None] = {}
    values: dict[str, float | None] = {}
    for title, part in (("builds", builds.measure), ("formats", formats.measure), ("bills", sbom.measure)):
        note(title)
        figures = part()
        ratios |= figures.ratios
        values |= figures.values
    print(json.dumps({"bench": "images", "ratios": ratios, "values": values}))


if __name__ == "__main__":
    main()
