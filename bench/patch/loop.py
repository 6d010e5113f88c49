"""A fleet of three is patched under load: from a change in an archive's index to the last exposed server's end.

The servers are those of examples/web, with a package of an archive of our own on loopback. A newer version comes there,
whose changelog names a CVE: then the clock starts. `bluestone patch` asks that archive and the distribution's, locks,
builds, compares and rolls out. The servers' ends are the proof's.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, "tests")

from bench.fleet import RATE
from bench.images.figures import Figures
from bench.load import Load, Report
from examples.demo import CONNECTIONS, SETTLE, Demo, left_for_good
from fake_archive import Archives, Deb, archives, key

CVE = "CVE-2026-4242"
CHANGELOG = f"""leaky (1.0-2) stable; urgency=high

  * Do not tell everybody everything ({CVE}).

 -- Nobody <nobody@example.org>  Thu, 26 Nov 2026 10:00:00 +0000
"""


def measure() -> Figures:
    """`time_to_patch_s` and `verdict_to_gone_s`, to the last exposed server's end; requests, and failed ones."""
    home = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    with key() as signing, archives(home / "archives", signing) as site:
        site.publish("shop", "shop", [Deb("leaky", "1.0-1")])
        demo = Demo(home)
        try:
            return Figures({}, _measured(demo, site))
        finally:
            demo.bluestone("down", show=False, check=False)
            left_for_good(home)  # the patched image is proved in the background, and writes here
            shutil.rmtree(home)


def _measured(demo: Demo, site: Archives) -> dict[str, float]:
    archive = f'{{ uri = "{site.address}/shop", suite = "shop", key = "{site.key.keyring}" }}'
    text = demo.declaration.read_text()
    packages = 'packages = ["nginx-light"]'
    assert packages in text
    demo.declaration.write_text(
        text.replace(packages, f'packages = ["nginx-light", "leaky"]\narchives.shop = {archive}')
    )
    demo.bluestone("up", show=False)
    with Load(demo.url, connections=CONNECTIONS, rate=RATE) as load:
        time.sleep(SETTLE)
        site.publish("shop", "shop", [Deb("leaky", "1.0-2", changelog=CHANGELOG)])
        changed = datetime.now(UTC)
        demo.bluestone("patch", CVE)
        time.sleep(SETTLE)
        report: Report = load.stop()
    (found,) = json.loads(demo.bluestone("proof", "list", "--json", show=False))
    gone = max(datetime.fromisoformat(server["gone"]) for server in found["proof"]["servers"])
    loads = os.getloadavg()[0]
    print(f"load average {loads:.1f}; {report.sent} requests, {report.failed} failed {report.by_kind or ''}")
    return {
        "time_to_patch_s": round((gone - changed).total_seconds(), 1),
        "verdict_to_gone_s": round(found["proof"]["fromVerdict"]["max"], 1),
        "failed_requests": report.failed,
        "requests": report.sent,
        "load_average": round(loads, 1),
    }
