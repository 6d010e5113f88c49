"""1,000 images of 300 packages against 50,000 advisories; and a new advisory against 10,000 servers.

CPU milliseconds once all is loaded: what the images hold stands on shelves, and the advisories are compiled, as in a
daemon. `match_naive_ms` is what comparing each package of each image with each advisory of its name takes, of a
hundredth of the images, times a hundred: it must find the same, which is checked first.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from statistics import median

from bench.images.figures import Figures, note
from bench.patch.inventory import IMAGES, NAMES, SERVERS, bom_of
from bluestone.model.advisory import Advisory, Affected, Range
from bluestone.model.bom import Bom
from bluestone.patch.estate import furnish
from bluestone.patch.exposure import Catalogue, match, meet
from bluestone.patch.versions import KEYS

ADVISORIES, KNOWN = 50_000, 5 * NAMES
"""Names that advisories are about: most are of what no image has."""
RUNS = 15
SAMPLE = IMAGES // 100


def measure() -> Figures:
    """What matching takes, and that it is right."""
    boms = [bom_of(number) for number in range(IMAGES)]
    advisories = _advisories()
    began = time.process_time()
    estate = furnish(boms)
    note(f"shelves of {IMAGES} images: {time.process_time() - began:.1f} s")
    began = time.process_time()
    catalogue = Catalogue.of(advisories, estate.names)
    note(f"advisories compiled: {time.process_time() - began:.1f} s")
    gc.collect()
    gc.freeze()  # As a daemon does after it has loaded: none of that is garbage.
    found = match(estate, catalogue)
    sample = {bom.image for bom in boms[:SAMPLE]}
    ours = {
        (each.advisory.id, place.image, place.component.purl)
        for each in found
        for entry in each.entries
        for place in entry.places
        if place.image in sample
    }
    began = time.process_time()
    theirs = _naive(boms[:SAMPLE], advisories)
    naive = (time.process_time() - began) * 1000 * IMAGES / SAMPLE
    assert ours == theirs, f"{len(ours ^ theirs)} of {len(theirs)} differ"
    exposures = sum(len(entry.places) for each in found for entry in each.entries)
    fleet = _milliseconds(lambda: match(estate, catalogue))
    note(f"{exposures} exposures by {len(found)} advisories: {fleet:.1f} ms, naively {naive:.0f} ms")

    running = {bom.image: [f"web-{n}" for n in range(number, SERVERS, IMAGES)] for number, bom in enumerate(boms)}
    fresh = Advisory("CVE-2026-9", "new", (Affected("deb", "source8", (Range(fixed="1.0-50"),), (), "trixie"),))
    counted: list[int] = []

    def servers() -> None:
        images = {p.image for each in meet(estate, fresh) for entry in each.entries for p in entry.places}
        counted.append(sum(len(running[image]) for image in images))

    single = _milliseconds(servers)
    assert 0 < counted[0] < SERVERS
    note(f"a new advisory: {counted[0]} of {SERVERS} servers in {single:.2f} ms")
    gc.unfreeze()
    return Figures(
        {"match_vs_naive": round(fleet / naive, 5)},
        {
            "match_fleet_ms": round(fleet, 1),
            "match_naive_ms": round(naive),
            "match_exposures": exposures,
            "advisory_to_servers_ms": round(single, 2),
        },
    )


def _advisories() -> list[Advisory]:
    rng, found = random.Random(3), []
    for number in range(ADVISORIES):
        name = rng.randrange(KNOWN)
        if name % 10 == 7:
            affected = Affected("maven", f"org.x:lib{name}", (Range(fixed=f"2.3.{rng.randrange(60)}"),))
        else:
            affected = Affected("deb", f"source{name}", (Range(fixed=f"1.0-{rng.randrange(60)}"),), (), "trixie")
        found.append(Advisory(f"CVE-2026-{number}", "bench", (affected,)))
    return found


def _naive(boms: list[Bom], advisories: list[Advisory]) -> set[tuple[str, str, str]]:
    """Each with each, by name."""
    by_name: dict[str, list[tuple[str, str]]] = {}
    for advisory in advisories:
        (affected,) = advisory.affected
        by_name.setdefault(affected.name, []).append((advisory.id, affected.ranges[0].fixed))
    found: set[tuple[str, str, str]] = set()
    for bom in boms:
        for each in bom.components:
            key, version = KEYS[each.ecosystem], each.source_version or each.version
            for name, fixed in by_name.get(each.source or each.name, ()):
                if key(version) < key(fixed):
                    found.add((name, bom.image, each.purl))
    return found


def _milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(RUNS):
        began = time.process_time()
        work()
        taken.append((time.process_time() - began) * 1000)
    return median(taken)
