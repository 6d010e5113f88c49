"""Drift: from what is found on a server until its successor serves in its place, under load.

Three servers, blue-green, at a quiet rate. In turn somebody runs something on one of them, and a file of its root is
written past podman; then `bluestone drift --replace` looks and heals. Times are the journal's: from `server.tainted`
until the successor is attached and the old one detached. The median of `RUNS` runs, and the worst.
"""

from __future__ import annotations

import json
import os
import subprocess
from statistics import median

from bench.controller.bound import Bound
from bench.controller.site import at, events, running
from bench.fleet import RATE, Bench
from bench.load import Load

RUNS = 6
WRITE = "mount -o remount,rw / && echo 1 > /etc/written"


def measure(bound: Bound) -> dict[str, float]:
    """Seconds (`drift_replaced_s`, the worst, and a whole `bluestone drift`), requests, and how many of them failed."""
    replaced: list[float] = []
    looked: list[float] = []
    with running(bound, "drift", ["blue-green"]) as bench, Load(_url(bench), connections=4, rate=RATE) as load:
        while len(replaced) < RUNS and not bound.over(len(replaced), RUNS):
            name = min(_servers(bench))
            took, _ = bench.bluestone("drift")
            looked.append(took)
            (_write if len(replaced) % 2 and os.geteuid() == 0 else _log_in)(name)
            bench.bluestone("drift", "--replace")
            replaced.append(_replaced_within(bench, name))
        report = load.stop()
    return {
        "drift_replaced_s": round(median(replaced), 3),
        "drift_replaced_worst_s": round(max(replaced), 3),
        "drift_look_s": round(median(looked), 3),
        "drift_requests": report.sent,
        "drift_failed_requests": report.failed,
        "drift_runs": len(replaced),
    }


def _url(bench: Bench) -> str:
    return f"http://127.0.0.1:{bench.port}/"


def _servers(bench: Bench) -> list[str]:
    return [server["name"] for server in json.loads(bench.bluestone("servers", "--json")[1])]


def _container(server: str) -> str:
    return f"bluestone-bench-drift.{server}"


def _log_in(server: str) -> None:
    subprocess.run(["podman", "exec", _container(server), "true"], check=True, capture_output=True)


def _write(server: str) -> None:
    command = ["podman", "inspect", "--format", "{{.State.Pid}}", _container(server)]
    pid = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["nsenter", "--target", pid, "--mount", "sh", "-c", WRITE], check=True, capture_output=True)


def _replaced_within(bench: Bench, server: str) -> float:
    """Seconds from the first word of the drift in the journal until the successor served instead."""
    told = events(bench, 100)
    tainted = next(e for e in told if e["kind"] == "server.tainted" and e["server"] == server)
    after = [e for e in told if e["sequence"] > tainted["sequence"]]
    attached = next(e for e in after if e["kind"] == "server.attached")
    detached = next(e for e in after if e["kind"] == "server.detached" and e["server"] == server)
    return max(at(attached), at(detached)) - at(tainted)
