"""`./dev bench patch [PART ...]`: versions, inventory, matching, feeds and their faults, Java archives, a fleet;
the last line is JSON.
"""

from __future__ import annotations

import sys

sys.path.insert(0, "tests")

from bench.images.figures import measure_parts
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
    measure_parts("patch", __doc__, PARTS)


if __name__ == "__main__":
    main()
