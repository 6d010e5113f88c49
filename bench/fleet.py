"""`./dev bench fleet`: three servers replaced under keep-alive load; beside it, nginx reloaded over them.

HAProxy retries nothing, and neither does the load. Images are built before the clock starts. Figures are
medians of `RUNS` runs, the two peers in turn, so that a drift of the machine meets both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.load import Load, Report
from bench.nginx import Nginx, find_nginx
from examples.demo import free_port

ROOT = Path(__file__).parents[1]
RUNS = 5
CONNECTIONS = 8
RATE = 300.0
"""Requests a second. The two cores also run the load, the balancer, the servers and bluestone itself; what happens
when the load takes all that it can get is measured apart (`saturated`)."""

SETTLE = 0.5
LIMITS = {"blue-green": "", "rolling": "max_surge = 1\nmax_unavailable = 0\n"}


@dataclass
class Figures:
    """What was measured, run by run."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in LIMITS})
    saturated: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in LIMITS})
    requests: int = 0
    failed: int = 0
    nginx_requests: int = 0
    nginx_failed: list[int] = field(default_factory=list)
    status: list[float] = field(default_factory=list)
    plan: list[float] = field(default_factory=list)


class Bench:
    """The example project with two versions of its site, both built; `volumes` is TOML for its group.

    What is built is kept in `store`, or below `home`.
    """

    def __init__(
        self, home: Path, *, name: str = "bench-fleet", count: int = 3, volumes: str = "", store: Path | None = None
    ) -> None:
        self.home = home
        self._store = store or home / "h"
        self.directory = home / "web"
        self.port = free_port()
        shutil.copytree(ROOT / "examples" / "web", self.directory)
        self._declaration = self.directory / "bluestone.toml"
        text = self._declaration.read_text().replace('project = "web"', f'project = "{name}"')
        text = text.replace("count = 3", f"count = {count}\n{volumes}")
        self._text = text.replace('"8080:80"', f'"{self.port}:80"')
        self._version = 0

    def bluestone(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> tuple[float, str]:
        """Run a verb as a process of its own; return its wall seconds and output."""
        began = time.monotonic()
        ran = subprocess.run(
            [sys.executable, "-c", "from bluestone.cli.main import main; main()", *arguments],
            cwd=self.directory,
            env=os.environ | {"BLUESTONE_HOME": str(self._store)},
            capture_output=True,
            text=True,
        )
        if ran.returncode not in allowed:
            raise SystemExit(f"bluestone {' '.join(arguments)}:\n{ran.stdout}{ran.stderr}")
        return time.monotonic() - began, ran.stdout

    def prepare(self, strategy: str) -> None:
        """Turn the site to its other version, and build that."""
        self._version = 3 - (self._version or 2)
        head = self._text[: self._text.index("[servers.web.rollout]")]
        rollout = f'[servers.web.rollout]\nstrategy = "{strategy}"\n{LIMITS.get(strategy, "")}drain = "10s"\n'
        self._declaration.write_text(head + rollout)
        page = f"<h1>version {self._version}</h1>" + "." * 500
        (self.directory / "site" / "index.html").write_text(page)
        self.bluestone("build")

    def addresses(self) -> list[str]:
        """`host:port` of each server, as the balancer reaches it."""
        return [server["address"] for server in json.loads(self.bluestone("servers", "--json")[1])]


def main() -> None:
    """Measure and print; the last line is JSON."""
    home = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    bench = Bench(home)
    nginx_program = find_nginx(ROOT / ".venv" / "peers")
    if nginx_program is None:
        raise SystemExit("there is no nginx to compare with: apt-get download nginx failed")
    figures = Figures()
    try:
        _note("building and starting three servers")
        bench.prepare("blue-green")
        bench.bluestone("up")
        bench.prepare("rolling")
        bench.bluestone("up")
        for run in range(1, RUNS + 1):
            for strategy in LIMITS:
                for rate, seconds in ((RATE, figures.seconds[strategy]), (None, figures.saturated[strategy])):
                    report = _replace(bench, strategy, figures, seconds, rate)
                    load = f"{rate:g} requests/s" if rate else "saturated"
                    _note(
                        f"run {run}: {strategy}, {load}: {seconds[-1]:.2f} s, {report.sent} requests, "
                        f"{report.failed} failed {report.by_kind or ''}"
                    )
            report = _reload_nginx(bench, nginx_program, home, figures)
            _note(f"run {run}: nginx, 3 reloads: {report.sent} requests, failed: {report.by_kind or 0}")
            figures.status.append(bench.bluestone("status")[0])
            figures.plan.append(bench.bluestone("plan")[0])
            _note(f"run {run}: status {figures.status[-1]:.2f} s, plan {figures.plan[-1]:.2f} s")
    finally:
        bench.bluestone("down", allowed=(0, 1))
        shutil.rmtree(home)
    _report(figures)


def _replace(bench: Bench, strategy: str, figures: Figures, seconds: list[float], rate: float | None) -> Report:
    bench.prepare(strategy)
    with Load(f"http://127.0.0.1:{bench.port}/", connections=CONNECTIONS, rate=rate) as load:
        time.sleep(SETTLE)
        took, _ = bench.bluestone("up")
        time.sleep(SETTLE)
        report = load.stop()
    seconds.append(took)
    figures.requests += report.sent
    figures.failed += report.failed
    return report


def _reload_nginx(bench: Bench, program: Path, home: Path, figures: Figures) -> Report:
    """Three swaps of one server each, as a rollout of three servers would make."""
    addresses = bench.addresses()
    directory = home / "nginx"
    directory.mkdir(exist_ok=True)
    port = free_port()
    nginx = Nginx(program, directory, port)
    with nginx.serving(addresses[:2]), Load(f"http://127.0.0.1:{port}/", connections=CONNECTIONS) as load:
        time.sleep(SETTLE)
        for swap in range(3):
            nginx.swap([addresses[swap], addresses[(swap + 1) % 3]])
            time.sleep(1.0)
        report = load.stop()
    figures.nginx_requests += report.sent
    figures.nginx_failed.append(report.failed)
    return report


def _report(figures: Figures) -> None:
    values = {
        "failed_requests": figures.failed,
        "requests": figures.requests,
        "replace3_blue_green_s": round(median(figures.seconds["blue-green"]), 3),
        "replace3_rolling_s": round(median(figures.seconds["rolling"]), 3),
        "replace3_blue_green_saturated_s": round(median(figures.saturated["blue-green"]), 3),
        "replace3_rolling_saturated_s": round(median(figures.saturated["rolling"]), 3),
        "rate_per_s": RATE,
        "nginx_reload_resets": median(figures.nginx_failed),
        "nginx_requests": figures.nginx_requests,
        "status_s": round(median(figures.status), 3),
        "plan_s": round(median(figures.plan), 3),
        "runs": RUNS,
    }
    ours = figures.failed / figures.requests
    theirs = sum(figures.nginx_failed) / figures.nginx_requests
    ratios = {"failed_share_vs_nginx_reload": round(ours / theirs, 4) if theirs else None}
    print(json.dumps({"bench": "fleet", "ratios": ratios, "values": values}))


def _note(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
