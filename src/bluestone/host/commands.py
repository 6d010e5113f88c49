"""Runs outside programs: argument lists, never a shell; bounded in time; errors that say what failed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    return begin(
        command,
        timeout=timeout,
        stdin=stdin,
        environment=environment,
        directory=directory,
        niceness=niceness,
        mend=mend,
    )()


def begin(
    command: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    niceness: int = 0,
    mend: str = "",
) -> Callable[[], str]:
    """As `run`, but return at once; what is returned waits for the program's end, at most `timeout` seconds."""
    require(command[0])
    shown = shlex.join(command[:3]) + (" ..." if len(command) > 3 else "")
    try:
        program = subprocess.Popen(
            ["nice", "-n", str(niceness), *command] if niceness else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=directory,
        )
    except OSError as error:
        raise CommandFailed(
            f"`{shown}` could not be started: {error.strerror}", status=None, stderr="", mend=mend
        ) from error

    def end() -> str:
        with program:
            try:
                out, err = program.communicate(stdin, timeout)
            except subprocess.TimeoutExpired as late:
                program.kill()
                said = (late.stderr or b"").decode(errors="replace").strip()
                raise CommandFailed(
                    f"`{shown}` did not end within {timeout:g} s{_quoted(said)}", status=None, stderr=said, mend=mend
                ) from late
            except BaseException:
                program.kill()
                raise
        if program.returncode != 0:
            said = err.decode(errors="replace").strip()
            raise CommandFailed(
                f"`{shown}` failed with status {program.returncode}{_quoted(said)}",
                status=program.returncode,
                stderr=said,
                mend=mend,
            )
        return out.decode(errors="replace")

    return end


def _quoted(said: str, lines: int = 12) -> str:
    return ":\n" + "\n".join(f"     {line}" for line in said.splitlines()[-lines:]) if said else ""
