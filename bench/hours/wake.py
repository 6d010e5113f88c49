"""Three servers on podman, asleep, until all of them serve: the wall seconds that the daemon takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from bench.fleet import Bench

RUNS = 5


def closed() -> str:
    """Hours that are over: open for an hour, half a year from now."""
    day = datetime.now(UTC) + timedelta(days=180)
    return f'\n[servers.web.hours]\nopen = "{day:%b %d} 03:00-04:00"\n'


def measure() -> dict[str, float]:
    """The median of several mornings; each is an exception that a person makes, as the clock would."""
    with tempfile.TemporaryDirectory(prefix="bs-", dir="/var/tmp") as directory:
        found = _Mornings(Path(directory)).run()
    print(f"asleep to serving, s: {[round(each, 2) for each in found]}")
    return {"wake_s": round(median(found), 2)}


class _Mornings:
    def __init__(self, home: Path) -> None:
        self._bench = Bench(home, name="bench-hours")
        declaration = self._bench.directory / "bluestone.toml"
        declaration.write_text(self._bench._text + closed())

    def run(self) -> list[float]:
        """Each morning's seconds."""
        bench = self._bench
        bench.bluestone("build")
        daemon = self._serve()
        try:
            _until(lambda: self._status()["daemon"] is not None, "the daemon leads")
            bench.bluestone("up")
            return [self._morning() for _ in range(RUNS)]
        finally:
            daemon.terminate()
            daemon.wait(60)
            bench.bluestone("down")

    def _morning(self) -> float:
        """From when a person's word is in the journal until the last of three servers gets requests."""
        bench = self._bench
        bench.bluestone("keep", "up", "web", "until", "60m")
        _until(lambda: self._serving() == 3, "all serve")
        lines = bench.bluestone("events", "--json", "-n", "200")[1].splitlines()
        newest = {event["kind"]: datetime.fromisoformat(event["at"]) for event in map(json.loads, lines)}
        steps = ("server.create", "server.created", "server.enrolled", "server.attached")
        since = {
            step: f"{(newest[step] - newest['hours.kept']).total_seconds():.2f}" for step in steps if step in newest
        }
        print(f"s until the last: {since}", flush=True)
        bench.bluestone("keep", "hours", "web")
        _until(lambda: self._existing() == 0, "asleep")
        return (newest["server.attached"] - newest["hours.kept"]).total_seconds()

    def _serving(self) -> int:
        return sum(server["stance"] == "serving" for server in self._servers())

    def _existing(self) -> int:
        return len(self._servers())

    def _servers(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self._status()["servers"]
        return found

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._bench.bluestone("status", "--json")[1])
        return found

    def _serve(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", "from bluestone.cli.main import main; main()", "serve"],
            cwd=self._bench.directory,
            env=os.environ | {"BLUESTONE_HOME": str(self._bench.home / "h")},
            stderr=subprocess.DEVNULL,
        )


def _until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds} s in vain: {what}")
        # Whoever asks takes a core, which the servers need: the journal tells when it was.
        time.sleep(2)
