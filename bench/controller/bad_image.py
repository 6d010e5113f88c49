"""A canary answers errors, on podman, behind HAProxy: how soon only the old get requests again."""

from __future__ import annotations

import time

from bench.controller.bound import Bound
from bench.controller.site import at, events, running
from bench.load import Load

CONNECTIONS = 8
RATE = 300.0
SETTLE = 0.5
BAD = "location = / { return 500; }\n    location = /health"


def measure(bound: Bound) -> dict[str, float]:
    """Seconds from the finding to the moment when only the old get requests, and the share of requests that failed
    from the canary's attach on.
    """
    with running(bound, "bad", ["rolling"]) as bench:
        file = bench.directory / "bluestone.toml"
        file.write_text(f'{file.read_text()}canary = 1\nbake = "60s"\n')
        site = bench.directory / "nginx-site.conf"
        site.write_text(site.read_text().replace("location = /health", BAD))
        bench.bluestone("build")
        with Load(f"http://127.0.0.1:{bench.port}/", connections=CONNECTIONS, rate=RATE) as load:
            time.sleep(SETTLE)
            bench.bluestone("up", allowed=(1,))
            report = load.stop()
        told = events(bench, 500)
    halted = next((event for event in reversed(told) if event["kind"] == "rollout.halted"), None)
    back = [e for e in told if halted and e["kind"] == "server.detached" and e["sequence"] > halted["sequence"]]
    attached = [e for e in told if halted and e["kind"] == "server.attached" and e["sequence"] < halted["sequence"]]
    if halted is None or not back:
        raise SystemExit("the bad image was not taken out of service")
    return {
        "bad_image_back_s": round(at(back[-1]) - at(halted), 3),
        "bad_image_found_s": round(at(halted) - at(attached[-1]), 3),
        "bad_image_failed_share": round(report.failed / report.sent, 4),
        "bad_image_failed": report.failed,
    }
