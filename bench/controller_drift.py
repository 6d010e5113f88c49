"""Drift: from what is found on a server until its successor serves in its place, under load.

Three servers, blue-green, at a quiet rate. In turn somebody runs something on one of them, and a file of its root is
written past podman; then `bluestone drift --replace` looks and heals. Times are the journal's: from `server.tainted`
until the successor is attached and the old one detached. The median of `RUNS` runs, and the worst.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.fleet import RATE, Bench
from bench.load import Load

RUNS = 6
WRITE = "mount -o remount,rw / && echo 1 > /etc/written"


def measure() -> dict[str, float]:
    """Seconds (`drift_replaced_s`, the worst, and a whole `bluestone drift`), requests, and how many of them failed."""
    home = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    bench = Bench(home)
    replaced: list[float] = []
    looked: list[float] = []
    try:
        bench.prepare("blue-green")
        bench.bluestone("up")
        with Load(f"http://127.0.0.1:{bench.port}/", connections=4, rate=RATE) as load:
            for run in range(RUNS):
                name = min(_servers(bench))
                took, _ = bench.bluestone("drift")
                looked.append(took)
                (_write if run % 2 and os.geteuid() == 0 else _log_in)(name)
                bench.bluestone("drift", "--replace")
                replaced.append(_replaced_within(bench, name))
            report = load.stop()
    finally:
        bench.bluestone("down", allowed=(0, 1))
        shutil.rmtree(home)
    return {
        "drift_replaced_s": round(median(replaced), 3),
        "drift_replaced_worst_s": round(max(replaced), 3),
        "drift_look_s": round(median(looked), 3),
        "drift_requests": report.sent,
        "drift_failed_requests": report.failed,
        "drift_runs": RUNS,
    }


def _servers(bench: Bench) -> list[str]:
    return [server["name"] for server in json.loads(bench.bluestone("servers", "--json")[1])]


def _container(server: str) -> str:
    return f"bluestone-bench-fleet.{server}"


def _log_in(server: str) -> None:
    subprocess.run(["podman", "exec", _container(server), "true"], check=True, capture_output=True)


def _write(server: str) -> None:
    command = ["podman", "inspect", "--format", "{{.State.Pid}}", _container(server)]
    pid = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["nsenter", "--target", pid, "--mount", "sh", "-c", WRITE], check=True, capture_output=True)


def _replaced_within(bench: Bench, server: str) -> float:
    """Seconds from the first word of the drift in the journal until the successor served instead."""
    events = [json.loads(line) for line in bench.bluestone("events", "--json", "-n", "100")[1].splitlines()]
    tainted = next(e for e in events if e["kind"] == "server.tainted" and e["server"] == server)
    after = [e for e in events if e["sequence"] > tainted["sequence"]]
    attached = next(e for e in after if e["kind"] == "server.attached")
    detached = next(e for e in after if e["kind"] == "server.detached" and e["server"] == server)
    return max(_at(attached), _at(detached)) - _at(tainted)


def _at(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()


if __name__ == "__main__":
    print(json.dumps({"bench": "controller_drift", "ratios": {}, "values": measure()}))
