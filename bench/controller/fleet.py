"""A simulated fleet of 10,000 servers is replaced: the processor time and the memory that its controller takes.

The controller is the real one, with its journal in a file; provider and balancer are simulated, and so is time. Counted
is what every tick of the rollout takes, the listing of 10,000 servers and backends included; the memory is that of the
whole process, the simulated world included.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bench.controller.bound import Bound
from bluestone.fleet.controller.controller import Controller
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.group import Amount, Group, Port, RolloutPolicy
from bluestone.model.plan import Plan
from bluestone.simulation import trial
from bluestone.simulation.weather import CALM

GROUPS, EACH = 10, 1000
AT_ONCE = 500
"""Calls at a time: a provider of such fleets takes more than one machine does."""

PACE = 0.5, 1.5
"""Seconds from tick to tick: to list a fleet of this size takes its time, too."""


class Timed(Controller):
    """Adds up the processor time of the ticks that lead to the second generation."""

    seconds = 0.0
    ticks = 0

    def tick(self) -> Plan:
        """A tick, timed."""
        began = time.process_time()
        try:
            return super().tick()
        finally:
            if self.goals[0].generation.number == 2:
                Timed.seconds += time.process_time() - began
                Timed.ticks += 1


def measure(bound: Bound) -> dict[str, float]:
    """Replace the fleet in a process of its own: `fleet_10k_s` (CPU seconds), `fleet_10k_mb`."""
    seconds = None if math.isinf(bound.seconds) else bound.seconds
    with tempfile.TemporaryDirectory(prefix="bs-bench-", dir="/var/tmp") as directory:
        command = [sys.executable, "-m", "bench.controller.fleet", directory]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Replace it here, and print."""
    policy = RolloutPolicy("rolling", Amount(10, percent=True), Amount(0))
    groups = [Group(f"g{i}", count=EACH, ports=(Port(8080 + i, 80),), rollout=policy) for i in range(GROUPS)]
    trial.Controller = Timed  # type: ignore[attr-defined]
    with closing(SqliteJournal(Path(sys.argv[1]) / "journal.db")) as journal:
        one = trial.Trial(1, groups, CALM, journal, workers=AT_ONCE, pace=PACE)
        one.machines.sampled = False
        report = one.run()
    if report.state != "done":
        raise SystemExit(f"it did not arrive: {report.state}")
    values = {
        "fleet_10k_s": round(Timed.seconds, 1),
        # Not ru_maxrss: that begins with what the process had that started this one.
        "fleet_10k_mb": round(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024),
        "fleet_10k_ticks": Timed.ticks,
        "fleet_10k_rollout_s": round(report.took, 1),
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main()
