"""A zip of 50,000 records in OSV's form, loaded in a process of its own: CPU seconds, and the most memory it takes.
`osv_again_s` is what it takes the next time, when what was read is kept.

The records are made as GitHub's of npm are: summary, details of some 2 KB, references, a vector, a range, and for some
a list of versions.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median

from bench.images.figures import Figures, note

RECORDS, RUNS = 50_000, 3
LOAD = """
import json, sys, time
from pathlib import Path
from bluestone.app.patch.feeds import _members
from bluestone.host.garbage import undisturbed
from bluestone.patch.feeds import osv
from bluestone.patch.feeds.cache import Cached
from bluestone.patch.feeds.judge import Fetched
path = Path(sys.argv[1])
cached, about = Cached(path.parent, str(path)), Fetched(str(path), "its digest")
before = time.process_time()
with undisturbed():
    found = cached.reading(about) or osv.read(_members(path), "npm")
took = time.process_time() - before
cached.keep_reading(about, found)
# Not ru_maxrss: that begins with what the process had that started this one.
most = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([took, most, len(found.advisories)]))
"""


def measure() -> Figures:
    """What loading takes."""
    with tempfile.TemporaryDirectory(prefix="bs-bench-", dir="/var/tmp") as made:
        directory = Path(made)
        path = directory / "all.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            rng = random.Random(5)
            for number in range(RECORDS):
                archive.writestr(f"GHSA-{number}.json", json.dumps(_record(rng, number)))
        fresh, again = [], []
        for _ in range(RUNS):
            for kept in directory.glob("*/reading"):
                kept.unlink()
            fresh.append(_load(path))
            again.append(_load(path))
            note(f"{fresh[-1][2]} records: {fresh[-1][0]:.2f} s, {fresh[-1][1]:.0f} MB; again {again[-1][0]:.2f} s")
    took, memory = median(run[0] for run in fresh), max(run[1] for run in (*fresh, *again))
    values = {"osv_load_s": took, "osv_again_s": median(run[0] for run in again), "osv_load_mb": memory}
    return Figures({}, {name: round(value, 2) for name, value in values.items()})


def _load(path: Path) -> tuple[float, float, int]:
    """Seconds, MB, and how many advisories there are."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path)], check=True, capture_output=True, text=True, timeout=120
    )
    seconds, most, count = json.loads(done.stdout)
    assert count == RECORDS
    return seconds, most, count


def _record(rng: random.Random, number: int) -> dict[str, object]:
    words = [
        rng.choice(("buffer", "path", "in", "the", "parser", "of", "input", "allows", "remote")) for _ in range(300)
    ]
    day = f"2026-{1 + number % 11:02}-{1 + number % 28:02}T10:00:00Z"
    last = f"{rng.randrange(5)}.{rng.randrange(20)}.{rng.randrange(20)}"
    return {
        "schema_version": "1.7.0",
        "id": f"GHSA-{number}",
        "modified": day,
        "published": day,
        "aliases": [f"CVE-2026-{number}"],
        "summary": " ".join(words[:12]),
        "details": " ".join(words),
        "severity": [{"type": "CVSS_V3", "score": f"CVSS:3.1/AV:N/AC:{rng.choice('LH')}/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {
                "package": {"ecosystem": "npm", "name": f"package{rng.randrange(20_000)}", "purl": "pkg:npm/x"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": last}]}],
                **({"versions": [f"0.{n}.0" for n in range(20)]} if number % 5 == 0 else {}),
                "database_specific": {"source": "https://example.org/advisory"},
            }
        ],
        "references": [{"type": "WEB", "url": f"https://example.org/{n}/{number}"} for n in range(6)],
        "database_specific": {"cwe_ids": ["CWE-79"], "severity": "HIGH", "github_reviewed": True},
    }
