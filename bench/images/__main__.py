"""`./dev bench images`: builds against mmdebstrap, bills against syft, disks and containers; the last line is JSON."""

from __future__ import annotations

from bench.images import builds, engines, formats, sbom
from bench.images.figures import measure_parts

PARTS = {
    "builds": builds.measure,
    "engines": engines.measure_few,
    "formats": formats.measure,
    "bills": sbom.measure,
    "all-engines": engines.measure,
}

LONG = ("all-engines",)
"""What is measured only where it is named: it takes longer than everything else."""


def main() -> None:
    """Measure what is asked for, or everything, and print it."""
    measure_parts("images", __doc__, PARTS, only_named=LONG)


if __name__ == "__main__":
    main()
