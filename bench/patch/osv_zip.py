"""A zip of 50,000 records in OSV's form, loaded in a process of its own: CPU seconds, and the most memory it takes.

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
import json, resource, sys, time
from pathlib import Path
from bluestone.app.patch.feeds import _members, _undisturbed
from bluestone.patch.feeds import osv
before = resource.getrusage(resource.RUSAGE_SELF)
with _undisturbed():
    found = osv.read(_members(Path(sys.argv[1])), "npm")
after = resource.getrusage(resource.RUSAGE_SELF)
took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps([took, after.ru_maxrss / 1024, len(found.advisories)]))
"""


def measure() -> Figures:
    """What loading takes."""
    with tempfile.TemporaryDirectory(prefix="bs-bench-", dir="/var/tmp") as directory:
        path = Path(directory, "all.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            rng = random.Random(5)
            for number in range(RECORDS):
                archive.writestr(f"GHSA-{number}.json", json.dumps(_record(rng, number)))
        runs = []
        for _ in range(RUNS):
            done = subprocess.run(
                [sys.executable, "-c", LOAD, str(path)], check=True, capture_output=True, text=True, timeout=120
            )
            runs.append(json.loads(done.stdout))
            note(
                f"{runs[-1][2]} records: {runs[-1][0]:.2f} s, {runs[-1][1]:.0f} MB, zip {path.stat().st_size >> 20} MB"
            )
        assert all(run[2] == RECORDS for run in runs)
    took, memory = median(run[0] for run in runs), max(run[1] for run in runs)
    return Figures({}, {"osv_load_s": round(took, 2), "osv_load_mb": round(memory, 1)})


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
