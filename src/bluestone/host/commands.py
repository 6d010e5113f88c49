"""Runs outside programs: argument lists, never a shell; bounded in time; errors that say what failed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bluestone.model.problem import MissingTool, Problem, Problems

DEBIAN_PACKAGE = {
    "apt-get": "apt",
    "cp": "coreutils",
    "dpkg": "dpkg",
    "dpkg-deb": "dpkg",
    "haproxy": "haproxy",
    "hostname": "hostname",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "newuidmap": "uidmap",
    "podman": "podman",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "sync": "coreutils",
    "tar": "tar",
    "umount": "mount",
    "unshare": "util-linux",
}
"""Which Debian package brings a program."""


class CommandFailed(Problem):
    """A program ended with a non-zero status, or did not end in time. `stderr` is what it said."""

    def __init__(self, what: str, *, status: int | None, stderr: str, mend: str = "") -> None:
        super().__init__(what, mend=mend)
        self.status = status
        self.stderr = stderr


def require(tool: str) -> str:
    """The path of a program, or `MissingTool` with the command that installs it."""
    path = shutil.which(tool)
    if path is None:
        raise MissingTool(tool, DEBIAN_PACKAGE.get(tool, tool))
    return path


def require_all(tools: Iterable[str]) -> None:
    """Raise `Problems` with every program among `tools` that is not there."""
    missing = []
    for tool in tools:
        try:
            require(tool)
        except MissingTool as problem:
            missing.append(problem)
    if missing:
        raise Problems(missing)


def run(
    command: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    niceness: int = 0,
    mend: str = "",
) -> str:
    """Run a program to its end and return what it printed.

    `timeout` in seconds; `environment` and `directory` replace this process's own if given; `niceness` is added to its
    own (nice(1)), for the program and all that it starts. Raises `MissingTool` and `CommandFailed`, whose text quotes
    the last lines that the program printed to its standard error.
    """
    require(command[0])
    shown = shlex.join(command[:3]) + (" ..." if len(command) > 3 else "")
    try:
        done = subprocess.run(
            ["nice", "-n", str(niceness), *command] if niceness else command,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            env=environment,
            cwd=directory,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stderr or b"").decode(errors="replace").strip()
        raise CommandFailed(
            f"`{shown}` did not end within {timeout:g} s{_quoted(said)}", status=None, stderr=said, mend=mend
        ) from late
    except OSError as error:
        raise CommandFailed(
            f"`{shown}` could not be started: {error.strerror}", status=None, stderr="", mend=mend
        ) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise CommandFailed(
            f"`{shown}` failed with status {done.returncode}{_quoted(said)}",
            status=done.returncode,
            stderr=said,
            mend=mend,
        )
    return done.stdout.decode(errors="replace")


def _quoted(said: str, lines: int = 12) -> str:
    return ":\n" + "\n".join(f"     {line}" for line in said.splitlines()[-lines:]) if said else ""
