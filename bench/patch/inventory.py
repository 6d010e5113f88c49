"""The inventory of a large fleet: 1,000 images of 300 packages, and 200,000 servers, of which 10,000 exist.

CPU milliseconds of the median query, with the index opened anew for each. `where_printed_slowest_ms` is with
the text that a person gets, of up to 20,000 servers. `bills_s` are the CPU seconds that reading
the same images' bills takes, which is what is done without an index.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from msgspec.structs import replace

from bench.images.figures import Figures, note
from bluestone.cli.options import printable
from bluestone.cli.where import shown
from bluestone.image.sbom import cyclonedx
from bluestone.model.bom import Bom, Component
from bluestone.model.ids import Digest
from bluestone.model.lifetime import Change
from bluestone.patch.inventory.answer import When
from bluestone.patch.inventory.find import find
from bluestone.patch.inventory.index import Index, Mark
from bluestone.patch.inventory.query import parse

IMAGES, PACKAGES, NAMES = 1000, 300, 900
INTERVALS, SERVERS = 200_000, 10_000
RUNS = 5
NOW = datetime(2026, 11, 23, tzinfo=UTC)
QUERIES: list[tuple[str, When]] = [
    ("maven:org.x/lib7 <2.3.32", "now"),
    ("maven:org.x/lib7 <2.3.32", NOW - timedelta(days=100)),
    ("package8 <1.0-50", "now"),
    ("source:source9 <1.0-20", "ever"),
    ("package1*", NOW - timedelta(days=10)),
]


def measure() -> Figures:
    """What queries take."""
    with tempfile.TemporaryDirectory(prefix="bs-bench-", dir="/var/tmp") as directory:
        return Figures({}, _inventory(Path(directory)))


def _inventory(directory: Path) -> dict[str, float]:
    bills = directory / "bills"
    bills.mkdir()
    boms = [bom_of(number) for number in range(IMAGES)]
    for number, bom in enumerate(boms):
        (bills / str(number)).write_bytes(cyclonedx.write(bom))
    began = time.process_time()
    for file in sorted(bills.iterdir()):
        cyclonedx.read(file.read_bytes())
    read = time.process_time() - began
    path = directory / "index"
    began = time.process_time()
    with closing(Index(path)) as index:
        for start in range(0, IMAGES, 50):
            with index.changing():
                for bom in boms[start : start + 50]:
                    index.add(bom, "1")
        with index.changing():
            index.note_here([bom.image for bom in boms])
            index.follow("fleet", _lives(), Mark(1))
    built = time.process_time() - began
    taken, printed = [], []
    for text, when in QUERIES:
        runs, texts = [], []
        for _ in range(RUNS):
            began = time.process_time()
            with closing(Index(path)) as index:
                answer = find(index, parse(text), when)
            runs.append((time.process_time() - began) * 1000)
            printable(shown(answer, past=when != "now"))
            texts.append((time.process_time() - began) * 1000)
        taken.append(median(runs))
        printed.append(median(texts))
        counts = f"{len(answer.findings)} findings, {len(answer.servers)} servers"
        note(f"{taken[-1]:7.1f} ms, printed {printed[-1]:7.1f}  {text} {when}: {counts}")
    return {
        "where_ms": round(median(taken), 1),
        "where_slowest_ms": round(max(taken), 1),
        "where_printed_slowest_ms": round(max(printed), 1),
        "index_build_s": round(built, 1),
        "index_mb": round(path.stat().st_size / 1e6, 1),
        "bills_s": round(read, 1),
    }


def bom_of(number: int) -> Bom:
    """An image's bill, always the same of one number."""
    rng = random.Random(number)
    parts = []
    for name in sorted(rng.sample(range(NAMES), PACKAGES)):
        version = f"1.0-{rng.randrange(60)}"
        if name % 10 == 7:
            version = f"2.3.{rng.randrange(60)}"
            path = f"/srv/app{name}.ear!web.war!WEB-INF/lib/lib{name}-{version}.jar"
            url = f"pkg:maven/org.x/lib{name}@{version}"
            parts.append(Component("maven", f"org.x:lib{name}", version, url, path, "pom.properties in the archive"))
        else:
            url = f"pkg:deb/debian/package{name}@{version}"
            deb = Component("deb", f"package{name}", version, url, "/status", "dpkg's database")
            parts.append(replace(deb, architecture="amd64", source=f"source{name}", source_version=version))
    return Bom(Digest(f"sha256:{number:064x}"), "debian", "13", tuple(parts), (), ())


def _lives() -> Iterator[Change]:
    """Servers of a year, all but the last of which are gone."""
    for number in range(INTERVALS):
        began = NOW - timedelta(days=365) * (1 - number / INTERVALS)
        server, image = f"web-0-{number}", Digest(f"sha256:{number * 7919 % IMAGES:064x}")
        yield Change("began", server, began, "web", image)
        if number < INTERVALS - SERVERS:
            yield Change("ended", server, began + timedelta(days=18))
