"""Replacements without end on podman, behind HAProxy, under keep-alive load that retries nothing."""

from __future__ import annotations

import math
import time

from bench.controller.bound import Bound
from bench.controller.site import running
from bench.fleet import LIMITS
from bench.load import Load

CONNECTIONS = 8
RATE = 300.0
"""Requests a second: what is looked for are failed ones, not how many a shared machine can answer."""

FULL_RATE = 3000.0
REPLACEMENTS, REQUESTS = 1000, 5_000_000
"""What a soak comes to that has all the time it takes: some 30 minutes of a machine with two cores and nothing else."""

SERVERS, FULL_SERVERS = 3, 6
SETTLE = 0.5


def measure(bound: Bound) -> dict[str, float]:
    """Replace all servers again and again, blue-green and rolling in turn; requests, and how many of them failed.

    The load goes on from before the first of the two until after the second, also while the next image is built: the
    connections that it keeps live through both.
    """
    whole = math.isinf(bound.seconds)
    rate, servers = (FULL_RATE, FULL_SERVERS) if whole else (RATE, SERVERS)
    requests = failed = replaced = 0
    with running(bound, "soak", list(LIMITS), count=servers) as bench:
        while (bound.left or not replaced) and not (whole and replaced >= REPLACEMENTS and requests >= REQUESTS):
            with Load(f"http://127.0.0.1:{bench.port}/", connections=CONNECTIONS, rate=rate) as load:
                for strategy in LIMITS:
                    bench.prepare(strategy)
                    time.sleep(SETTLE)
                    bench.bluestone("up")
                    time.sleep(SETTLE)
                report = load.stop()
            requests, failed = requests + report.sent, failed + report.failed
            replaced += servers * len(LIMITS)
            if whole or report.failed:
                print(f"{replaced} replaced, {requests} requests, {failed} failed; {report.line()}", flush=True)
    bound.over(replaced, REPLACEMENTS)
    return {"requests": requests, "failed_requests": failed, "replacements": replaced}
