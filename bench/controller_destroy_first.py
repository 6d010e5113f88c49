"""A single server with a volume, replaced again and again under keep-alive load: what is lost, and what is slow.

The old server is gone before the new one is created, so for a moment there is none. HAProxy retries nothing, and
neither does the load. The worst request is one that arrives as the old server is drained: it waits for all of the
replacement.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.fleet import Bench
from bench.load import Load

RUNS = 100
CONNECTIONS = 8
RATE = 100.0
"""Requests a second: what is measured is the replacement, not what the load takes from it."""

VOLUMES = 'volumes.data = "/srv/data"\n'
PAUSE = 0.3


def measure(runs: int = RUNS) -> dict[str, float]:
    """Replace the server `runs` times; requests that failed, the slowest in seconds, and how many there were."""
    home = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    bench = Bench(home, name="bench-destroy-first", count=1, volumes=VOLUMES)
    worst, failed, sent = 0.0, 0, 0
    try:
        for _ in range(2):
            bench.prepare("destroy-first")
            bench.bluestone("up")
        for run in range(1, runs + 1):
            bench.prepare("destroy-first")
            with Load(f"http://127.0.0.1:{bench.port}/", connections=CONNECTIONS, rate=RATE) as load:
                time.sleep(PAUSE)
                bench.bluestone("up")
                time.sleep(PAUSE)
                report = load.stop()
            print(f"run {run}: {report.line()}", file=sys.stderr, flush=True)
            worst, failed, sent = max(worst, report.max), failed + report.failed, sent + report.sent
    finally:
        bench.bluestone("down", allowed=(0, 1))
        bench.bluestone("volumes", "rm", "--yes", "web-1.data", allowed=(0, 1))
        shutil.rmtree(home)
    return {
        "destroy_first_failed": failed,
        "destroy_first_worst_s": round(worst, 3),
        "destroy_first_requests": sent,
        "destroy_first_runs": runs,
    }


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    print(json.dumps({"bench": "controller-destroy-first", "ratios": {}, "values": measure(runs)}))
