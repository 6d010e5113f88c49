"""Runs a long command and hears what it says while it runs."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Timer

from msgspec import Struct

from bluestone.host.commands import require

LINE = 1 << 16
"""Longest line taken as one, in bytes: what a command says is bounded in memory."""

TAIL = 200
"""Lines kept from the end of what a command says."""


class Ending(Struct, frozen=True):
    """How a command ended: its status (None if its time was up), and the last lines that it said."""

    status: int | None
    tail: tuple[str, ...]

    def quoted(self, lines: int = 12) -> str:
        """The end of what it said, indented for an error's text."""
        return "".join(f"\n     {line}" for line in self.tail[-lines:])


def follow(
    command: Sequence[str],
    hear: Callable[[str], object] = lambda _: None,
    *,
    timeout: float,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Ending:
    """Run a command to its end. `hear` gets every line of its output and errors as it comes.

    `timeout` in seconds; `environment` replaces this process's own if given. The command is ended when its
    time is up, and by an exception (Ctrl-C too). Raises `MissingTool`.
    """
    require(command[0])
    tail: deque[str] = deque(maxlen=TAIL)
    late = Event()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    timer = Timer(timeout, lambda: (late.set(), process.kill()))  # type: ignore[func-returns-value]
    timer.daemon = True
    timer.start()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _hand_over(process, stdin)
        while line := process.stdout.readline(LINE):
            tail.append(line.decode(errors="replace").rstrip("\n"))
            hear(tail[-1])
        status = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
    return Ending(None if late.is_set() else status, tuple(tail))


def _hand_over(process: subprocess.Popen[bytes], stdin: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(stdin)
        process.stdin.close()
    except BrokenPipeError:
        return  # It ended without reading; its status tells why.
