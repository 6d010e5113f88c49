"""A single server with a volume, replaced again and again under keep-alive load: what is lost, and what is slow.

The old server is gone before the new one is created, so for a moment there is none. HAProxy retries nothing, and
neither does the load. The worst request is one that arrives as the old server is drained: it waits for all of the
replacement.
"""

from __future__ import annotations

import sys
import time

from bench.controller.bound import Bound
from bench.controller.site import running
from bench.load import Load

RUNS = 100
CONNECTIONS = 8
RATE = 100.0
"""Requests a second: what is measured is the replacement, not what the load takes from it."""

VOLUMES = 'volumes.data = "/srv/data"\n'
PAUSE = 0.3


def measure(bound: Bound) -> dict[str, float]:
    """Replace the server `RUNS` times; requests that failed, the slowest in seconds, and how many there were."""
    worst, failed, sent, run = 0.0, 0, 0, 0
    with running(bound, "destroy-first", ["destroy-first"] * 2, count=1, volumes=VOLUMES) as bench:
        while run < RUNS and not bound.over(run, RUNS):
            bench.prepare("destroy-first")
            with Load(f"http://127.0.0.1:{bench.port}/", connections=CONNECTIONS, rate=RATE) as load:
                time.sleep(PAUSE)
                bench.bluestone("up")
                time.sleep(PAUSE)
                report = load.stop()
            run += 1
            print(f"run {run}: {report.line()}", file=sys.stderr, flush=True)
            worst, failed, sent = max(worst, report.max), failed + report.failed, sent + report.sent
    return {
        "destroy_first_failed": failed,
        "destroy_first_worst_s": round(worst, 3),
        "destroy_first_requests": sent,
        "destroy_first_runs": run,
    }
