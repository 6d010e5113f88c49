"""On real podman, behind real HAProxy: replacements without end under load, and a bad image found out."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.fleet import LIMITS, SETTLE, Bench
from bench.load import Load

CONNECTIONS = 8
RATE = 300.0
"""Requests a second of the soak: what is looked for are failed ones, not how many a shared machine can answer."""

BAD = "location = / { return 500; }\n    location = /health"


def measure_soak(seconds: float) -> dict[str, float]:
    """Replace three servers again and again under keep-alive load that retries nothing."""
    requests = failed = replaced = 0
    with _bench() as bench:
        end = time.monotonic() + seconds
        while time.monotonic() < end or not replaced:
            for strategy in LIMITS:
                bench.prepare(strategy)
                with Load(f"http://127.0.0.1:{bench.port}/", connections=CONNECTIONS, rate=RATE) as load:
                    time.sleep(SETTLE)
                    bench.bluestone("up")
                    time.sleep(SETTLE)
                    report = load.stop()
                requests, failed, replaced = requests + report.sent, failed + report.failed, replaced + 3
                if report.failed:
                    print(f"{strategy}: {report.failed} of {report.sent} failed: {report.by_kind}", flush=True)
    return {"requests": requests, "failed_requests": failed, "replacements": replaced}


def measure_bad_image() -> dict[str, float]:
    """A canary answers errors: the seconds from the finding to the moment when only the old get requests.

    And of the requests from the first canary's attach on, the share that failed.
    """
    with _bench() as bench:
        file = bench.directory / "bluestone.toml"
        file.write_text(f'{file.read_text()}canary = 1\nbake = "60s"\n')
        site = bench.directory / "nginx-site.conf"
        site.write_text(site.read_text().replace("location = /health", BAD))
        bench.bluestone("build")
        with Load(f"http://127.0.0.1:{bench.port}/", connections=CONNECTIONS, rate=RATE) as load:
            time.sleep(SETTLE)
            bench.bluestone("up", allowed=(1,))
            report = load.stop()
        events = [json.loads(line) for line in bench.bluestone("events", "--json", "-n", "500")[1].splitlines()]
    halted = next(event for event in reversed(events) if event["kind"] == "rollout.halted")
    back = [e for e in events if e["kind"] == "server.detached" and e["sequence"] > halted["sequence"]]
    if not back:
        raise SystemExit("the bad image was not taken out of service")
    return {
        "bad_image_back_s": round((_at(back[-1]) - _at(halted)).total_seconds(), 3),
        "bad_image_failed_share": round(report.failed / report.sent, 4),
    }


@contextmanager
def _bench() -> Iterator[Bench]:
    """Three servers of the example, up."""
    home = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    bench = Bench(home)
    try:
        for strategy in LIMITS:
            bench.prepare(strategy)
            bench.bluestone("up")
        yield bench
    finally:
        bench.bluestone("down", allowed=(0, 1))
        shutil.rmtree(home)


def _at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["at"])
