"""`./dev bench images`: builds against mmdebstrap, bills against syft, disks and containers; the last line is JSON."""

from __future__ import annotations

from bench.images import builds, engines, formats, sbom
from bench.images.figures import measure_parts

PARTS = {
    "builds": builds.measure,
    "engines": engines.measure,
    "formats": formats.measure,
    "bills": sbom.measure,
}


def main() -> None:
    """Measure what is asked for, or everything, and print it."""
    measure_parts("images", __doc__, PARTS)


if __name__ == "__main__":
    main()
