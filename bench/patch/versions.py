"""The order of Debian's versions against apt's: real pairs from the archive's index, and pairs of chance.

A million pairs are compared by our keys and by apt_pkg, which is the peer; both get the versions as text.
"""

from __future__ import annotations

import random
import subprocess
import time

import version_orders
from bench.images.figures import Figures, note
from bluestone.patch.versions import debian

PAIRS, BATCH = 1_000_000, 100_000


def measure() -> Figures:
    """Differences, and what it takes."""
    differences, own, peer = _versions(PAIRS)
    note(f"{PAIRS} pairs of versions: {differences} differences; {own:.2f} s, apt_pkg {peer:.2f} s of CPU")
    values = {"version_pairs": PAIRS, "version_order_differences": differences, "versions_s": round(own, 2)}
    return Figures({"versions_vs_apt_pkg": round(own / peer, 1)} if peer else {}, values)


def _versions(count: int) -> tuple[int, float, float]:
    """How many pairs are ordered otherwise, and the CPU seconds of ours and of apt_pkg."""
    dump = subprocess.run(["apt-cache", "dumpavail"], text=True, capture_output=True, check=True).stdout
    real = sorted({line[9:] for line in dump.splitlines() if line.startswith("Version: ")})
    rng, differences, own, peer = random.Random(7), 0, 0.0, 0.0
    for _ in range(0, count, BATCH):
        pairs = version_orders.debian_pairs(rng, min(count, BATCH), real)
        began = time.process_time()
        mine = [version_orders.sign(debian.key(one), debian.key(other)) for one, other in pairs]
        own += time.process_time() - began
        theirs, took = version_orders.apt_timed(pairs)
        peer += took
        for pair, one, other in zip(pairs, mine, theirs, strict=True):
            if one != other:
                differences += 1
                note(f"differs: {pair}: {one}, apt says {other}")
    return differences, own, peer
