"""Long-running children that outlive the command which started them: found again, and ended by id.

A process is known by its id *and* the time it started, both kept in a pid file, so that a process which got
the same id later is never taken for it, nor ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from bluestone.host.commands import require
from bluestone.host.files import write_atomically
from bluestone.model.problem import Problem


def started_at(pid: int) -> str | None:
    """The kernel's start time of a process (field 22 of `/proc/PID/stat`, proc(5)); None if it is not there.

    A zombie (ended, not yet reaped) counts as not there.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields[19]


def running(pid_file: Path) -> int | None:
    """The process that a pid file names, while it runs; else None."""
    try:
        text = pid_file.read_text()
    except FileNotFoundError:
        return None
    pid, _, start = text.strip().partition(" ")
    if not pid.isdigit() or started_at(int(pid)) != start:
        return None
    return int(pid)


class Daemon(Struct, frozen=True):
    """One long-running child, known by its pid file. `output` gets what it prints."""

    name: str
    pid_file: Path
    output: Path

    def pid(self) -> int | None:
        """Its process id while it runs, else None."""
        return running(self.pid_file)

    def start(self, command: Sequence[str], inherit: Sequence[int] = ()) -> int:
        """Start it in a session of its own, so that a terminal's Ctrl-C does not reach it; return its id.

        `inherit` are the file descriptors that it keeps. Raises `MissingTool` if the program is not there.
        """
        require(command[0])
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=tuple(inherit),
                cwd="/",
            )
        write_atomically(self.pid_file, f"{process.pid} {started_at(process.pid) or 0}\n".encode())
        return process.pid

    def stop(self, grace: float = 5.0) -> None:
        """Ask it to end, and end it after `grace` seconds. Idempotent. Raises `Problem` if it stays."""
        pid = self.pid()
        if pid is not None:
            for sign, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
                _signal(pid, sign)
                if self._gone(pid, patience):
                    break
            else:
                raise Problem(
                    f"{self.name} (process {pid}) does not end", mend=f"look at it: ps -p {pid} -o stat,wchan"
                )
        self.pid_file.unlink(missing_ok=True)

    def last_words(self, lines: int = 8) -> str:
        """The end of what it printed."""
        try:
            text = self.output.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _gone(self, pid: int, patience: float) -> bool:
        end = time.monotonic() + patience
        while self.pid() == pid:
            if time.monotonic() > end:
                return False
            _reap(pid)
            time.sleep(0.02)
        return True


def _signal(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    """Collect the process if it is our own child; another command may have started it."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
