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

FULL_RATE = 2000.0
REPLACEMENTS, REQUESTS = 1000, 5_000_000
"""What a soak comes to that has all the time it takes."""

SETTLE = 0.5


def measure(bound: Bound) -> dict[str, float]:
    """Replace three servers again and again, blue-green and rolling in turn; requests, and how many of them failed.

    Each load lasts from before a replacement until after it: no request is counted at an idle fleet.
    """
    whole = math.isinf(bound.seconds)
    requests = failed = replaced = 0
    with running(bound, "soak", list(LIMITS)) as bench:
        while (bound.left or not replaced) and not (whole and replaced >= REPLACEMENTS and requests >= REQUESTS):
            for strategy in LIMITS:
                bench.prepare(strategy)
                rate = FULL_RATE if whole else RATE
                with Load(f"http://127.0.0.1:{bench.port}/", connections=CONNECTIONS, rate=rate) as load:
                    time.sleep(SETTLE)
                    bench.bluestone("up")
                    time.sleep(SETTLE)
                    report = load.stop()
                requests, failed, replaced = requests + report.sent, failed + report.failed, replaced + 3
                if report.failed:
                    print(f"{strategy}: {report.failed} of {report.sent} failed: {report.by_kind}", flush=True)
    bound.over(replaced, REPLACEMENTS)
    return {"requests": requests, "failed_requests": failed, "replacements": replaced}
