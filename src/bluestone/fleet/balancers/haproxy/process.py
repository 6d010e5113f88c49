"""HAProxy's processes: a master that is our managed child, and its workers.

The master keeps the listening sockets over a reload: a new worker takes them over while the one before
finishes its requests (management guide, section 4). When a worker dies the master ends itself and all others;
the balancer then starts anew.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from bluestone.fleet.balancers.haproxy.render import Account
from bluestone.fleet.balancers.haproxy.runtime import NotRunning, Runtime, Unsettled
from bluestone.host.commands import CommandFailed, run
from bluestone.host.daemons import Daemon, started_at
from bluestone.model.problem import Problem

OLDEST = (2, 6)
"""The first version whose servers, added at run time, can have health checks without an experimental mode."""

START_LIMIT = 10.0
"""Seconds that HAProxy may take to start or to reload; it takes about 0.1."""


def check_command(configuration: Path) -> list[str]:
    """Have HAProxy judge a configuration."""
    return ["haproxy", "-c", "-f", str(configuration)]


def serve_command(configuration: Path, socket: Path) -> list[str]:
    """Run HAProxy as master and worker, in the foreground (it is our child), with a private runtime API."""
    return ["haproxy", "-W", "-db", "-S", f"{socket},mode,600", "-f", str(configuration)]


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor version from what `haproxy -v` prints. Raises `Problem`."""
    found = re.match(r"HA-?Proxy version (\d+)\.(\d+)", text)
    if not found:
        raise Problem(f"`haproxy -v` printed no version: {text[:100]!r}")
    return int(found[1]), int(found[2])


def unprivileged_account() -> Account | None:
    """What the workers of a master that runs as root become, so that none serves requests as root."""
    if os.getuid() != 0:
        return None
    for name in ("haproxy", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_name, grp.getgrgid(entry.pw_gid).gr_name)
    return None


class Process(Struct, frozen=True):
    """HAProxy, run with one configuration file and answering on one socket."""

    daemon: Daemon
    configuration: Path
    socket: Path
    runtime: Runtime

    def alive(self) -> bool:
        """Whether the master runs."""
        return self.daemon.pid() is not None

    def approve(self) -> None:
        """Raise `Problem` with HAProxy's own words if it is too old or does not take the configuration."""
        version = parse_version(run(["haproxy", "-v"], timeout=10))
        if version < OLDEST:
            raise Problem(
                f"HAProxy {_dotted(version)} is too old: servers added at run time need {_dotted(OLDEST)}",
                mend="install HAProxy from a newer release of the distribution, or from its backports",
            )
        try:
            run(check_command(self.configuration), timeout=10)
        except CommandFailed as failed:
            raise Problem(f"HAProxy does not take its configuration: {failed.what}", mend=failed.mend) from failed

    def start(self, digest: str) -> None:
        """Start the master and return once a worker serves what `digest` names. Raises `Problem`."""
        self.daemon.output.unlink(missing_ok=True)
        self.daemon.start(serve_command(self.configuration, self.socket))
        self._await(digest, "start")

    def reload(self, digest: str) -> None:
        """Have a new worker take over with the configuration as it is now.

        Raises `Problem`; then the worker before serves on.
        """
        pid = self.daemon.pid()
        if pid is not None:
            os.kill(pid, signal.SIGUSR2)
        self._await(digest, "reload")

    def stop(self, grace: float) -> None:
        """End master and workers, giving requests `grace` seconds. Idempotent. Raises `Problem`."""
        pid = self.daemon.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
            _until(lambda: self.daemon.pid() is None, grace)
        self.daemon.stop()
        self.end_orphans()
        self.socket.unlink(missing_ok=True)

    def end_orphans(self) -> None:
        """End workers that outlived their master: they would hold the ports, with servers long gone."""
        for sign, patience in ((signal.SIGUSR1, 1.0), (signal.SIGKILL, 2.0)):
            for pid in self._of_this_configuration():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            if _until(lambda: not self._of_this_configuration(), patience):
                return
        raise Problem(f"HAProxy's processes {self._of_this_configuration()} do not end")

    def _await(self, digest: str, verb: str) -> None:
        """Wait until the worker that serves says that it does so with the configuration wanted."""
        _until(lambda: self._serves(digest) or not self.alive(), START_LIMIT)
        if not self._serves(digest):
            raise Problem(
                f"HAProxy did not {verb}; it said:\n{self.daemon.last_words()}",
                mend=f"look at {self.configuration}",
            )

    def _serves(self, digest: str) -> bool:
        try:
            return self.runtime.description() == digest
        except (NotRunning, Unsettled):
            return False

    def _of_this_configuration(self) -> list[int]:
        """Every living HAProxy process with our configuration file in its argument list."""
        mine = f"\0-f\0{self.configuration}\0".encode()
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (process / "cmdline").read_bytes()
                    is_haproxy = Path(os.fsdecode(line.split(b"\0", 1)[0])).name == "haproxy"
                    if is_haproxy and mine in line and started_at(int(process.name)):
                        found.append(int(process.name))
        return found


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _until(holds: Callable[[], object], patience: float) -> bool:
    """Ask again until it holds; False if it does not within `patience` seconds."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
