"""`./dev demo`: three web servers from one file, replaced three times under load, and their logs.

It uses the command line as a person would, in a home of its own, and takes everything down again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.load import Load, Report

EXAMPLE = Path(__file__).parent / "web"
PROJECT = "web-demo"
ROLLOUTS = ("blue-green", "rolling", "destroy-first")
LIMITS = {
    "blue-green": "",
    "rolling": "max_surge = 1\nmax_unavailable = 0\n",
    "destroy-first": "max_unavailable = 1\n",
}
CONNECTIONS = 8
SETTLE = 1.0
"""Seconds of load before and after each rollout, so that its beginning and end are within it."""
PATIENCE = 60.0
"""Seconds for what goes on in the background when everything is taken down."""


@dataclass(frozen=True)
class Result:
    """One rollout under load."""

    strategy: str
    seconds: float
    load: Report


class Demo:
    """The example in a directory and a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.directory = home / "web"
        self.port = free_port()
        self.declaration = self.directory / "bluestone.toml"
        shutil.copytree(EXAMPLE, self.directory)
        self._adapt()

    @property
    def url(self) -> str:
        """Where the balancer listens."""
        return f"http://127.0.0.1:{self.port}/"

    def bluestone(self, *arguments: str, show: bool = True, check: bool = True) -> str:
        """Run a verb, as one would type it; show what it prints as it comes."""
        if show:
            print(f"\n\033[1m$ bluestone {' '.join(arguments)}\033[0m", flush=True)
        process = subprocess.Popen(
            [sys.executable, "-c", "from bluestone.cli.main import main; main()", *arguments],
            cwd=self.directory,
            env=os.environ | {"BLUESTONE_HOME": str(self.home / "h")},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if show:
                print(f"  {line}", end="", flush=True)
        if process.wait() and check:
            raise SystemExit(f"`bluestone {' '.join(arguments)}` failed with status {process.returncode}")
        return "".join(lines)

    def roll_out(self, version: int, strategy: str) -> Result:
        """Change the site and the strategy, and run `up` while requests come in."""
        self._write_page(version)
        self._set_strategy(strategy)
        # Building is not replacing: the time below is that of the servers alone.
        self.bluestone("build")
        with Load(self.url, connections=CONNECTIONS) as load:
            time.sleep(SETTLE)
            began = time.monotonic()
            self.bluestone("up")
            seconds = time.monotonic() - began
            time.sleep(SETTLE)
            report = load.stop()
        page = self.get()
        if f"Version {version}" not in page:
            raise SystemExit(f"version {version} is not served:\n{page}")
        return Result(strategy, seconds, report)

    def get(self, path: str = "") -> str:
        """A page from behind the balancer."""
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return str(answer.read().decode())

    def _adapt(self) -> None:
        """A name and a port of its own, and a base that this machine's archive has."""
        text = self.declaration.read_text()
        text = text.replace('project = "web"', f'project = "{PROJECT}"').replace('"8080:80"', f'"{self.port}:80"')
        system = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
        if system["ID"] == "ubuntu":
            text = text.replace('"debian:trixie"', f'"ubuntu:{system["VERSION_CODENAME"]}"')
        self.declaration.write_text(text)

    def _write_page(self, version: int) -> None:
        page = self.directory / "site" / "index.html"
        text = (EXAMPLE / "site" / "index.html").read_text()
        page.write_text(text.replace("Version 1", f"Version {version}"))

    def _set_strategy(self, strategy: str) -> None:
        text = self.declaration.read_text()
        head = text[: text.index("[servers.web.rollout]")]
        rollout = f'strategy = "{strategy}"\n{LIMITS[strategy]}drain = "10s"\nprogress = "60s"\n'
        self.declaration.write_text(f"{head}[servers.web.rollout]\n{rollout}")


def main() -> None:
    """Run the demonstration; exit 1 if a request failed that should not have, or anything is left behind."""
    options = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    options.add_argument("--keep", action="store_true", help="leave the servers running")
    keep = options.parse_args().keep

    home = Path(tempfile.mkdtemp(prefix="bs-demo-", dir="/var/tmp"))
    say(f"an example project in {home}, from examples/web/bluestone.toml")
    demo = Demo(home)
    faults: list[str] = []
    try:
        demo.bluestone("check")
        say("build the image from the archive, and start three servers behind HAProxy")
        demo.bluestone("up")
        print(f"\n  {demo.url} answers: {_heading(demo.get())}")
        gone = _server_names(demo)
        for _ in gone:
            demo.get("?first-generation")

        results = []
        for version, strategy in enumerate(ROLLOUTS, start=2):
            say(f"version {version}, {strategy}, under constant load")
            results.append(demo.roll_out(version, strategy))
            _show_load(results[-1])

        say("the log of a server that is gone")
        faults += _check_gone(demo, gone)
        say("what happened")
        _show_table(results)
        faults += [
            f"{result.strategy}: {result.load.failed} requests failed: {result.load.by_kind}"
            for result in results
            if result.load.failed and result.strategy != "destroy-first"
        ]
    finally:
        faults += end(demo, keep=keep)
    for fault in faults:
        print(f"\033[31mfailed: {fault}\033[0m")
    sys.exit(1 if faults else 0)


def end(demo: Demo, *, keep: bool) -> list[str]:
    """Take everything down; return what is left behind."""
    if keep:
        say("kept, as asked. To take it down:")
        print(f"  cd {demo.directory} && BLUESTONE_HOME={demo.home}/h bluestone down && rm -r {demo.home}")
        return []
    say("take everything down")
    demo.bluestone("down", check=False)
    left = left_for_good(demo.home)
    if not left:
        shutil.rmtree(demo.home)
        print("  nothing is left: no container, network, mount, process or file")
    return [f"left behind: {what}" for what in left]


def left_for_good(home: Path) -> list[str]:
    """What still exists once that has ended which goes on in the background: lines are sealed, an image is proved."""
    until = time.monotonic() + PATIENCE
    while (left := _leftovers(home)) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def _leftovers(home: Path) -> list[str]:
    """Containers, networks, mounts and processes of the demonstration that still exist."""
    containers = _lines("podman", "ps", "--all", "--filter", f"label=bluestone.project={PROJECT}", "--quiet")
    networks = [line for line in _lines("podman", "network", "ls", "--format", "{{.Name}}") if PROJECT in line]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(home) in line]
    processes = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(home) in command:
                processes.append(f"process {entry.name}: {command[:80]}")
    return [*containers, *networks, *mounts, *processes]


def _check_gone(demo: Demo, gone: list[str]) -> list[str]:
    """Show lines of a destroyed server, and say what is wrong if there are none."""
    alive = _server_names(demo)
    lines: list[str] = []
    for name in gone:
        if name in alive:
            return [f"{name} should have been replaced"]
        lines += demo.bluestone("logs", name, "--grep", "first-generation", "-n", "5").splitlines()
    asked = [line for line in lines if "first-generation" in line]
    return [] if asked else [f"the request to the first generation is in no log of {gone}"]


def _server_names(demo: Demo) -> list[str]:
    return [line.split()[0] for line in demo.bluestone("servers").splitlines() if line.startswith("web-")]


def _show_load(result: Result) -> None:
    load = result.load
    print(f"\n  {load.sent} requests in {load.seconds:.1f} s, {load.failed} failed {load.by_kind or ''}")


def _show_table(results: list[Result]) -> None:
    head = f"{'strategy':<15}{'replaced in':>12}{'requests':>10}{'failed':>8}{'p50':>9}{'p99':>9}{'worst':>9}"
    print(f"\n  {head}")
    for result in results:
        load = result.load
        times = "".join(f"{seconds * 1000:>6.1f} ms" for seconds in (load.p50, load.p99, load.max))
        print(f"  {result.strategy:<15}{result.seconds:>10.1f} s{load.sent:>10}{load.failed:>8}{times}")


def _heading(page: str) -> str:
    return page.partition("<h1>")[2].partition("</h1>")[0]


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def free_port() -> int:
    """8080 if nobody has it, else any."""
    for wanted in (8080, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise SystemExit("no port is free on 127.0.0.1")


def say(text: str) -> None:
    """Head what follows."""
    print(f"\n\033[1;34m== {text}\033[0m", flush=True)


if __name__ == "__main__":
    main()
