"""What podman tells as it happens: containers that end, or that somebody touches."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable

from bluestone.fleet.providers.podman import commands
from bluestone.host.commands import require
from bluestone.model.problem import Problem

BOUND = ("setpriv", "--pdeathsig", "KILL", "--")
"""It ends with whoever listens, however that ends."""


def follow(project: str, heard: Callable[[], None], ended: threading.Event) -> None:
    """Call `heard` for each event of a project's servers, from the thread that calls this, until `ended` is set.

    Raises `Problem` when podman tells nothing any more.
    """
    command = [*BOUND, *commands.events(project)]
    require(command[0])
    require("podman")
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as podman:
        assert podman.stdout
        assert podman.stderr
        over = threading.Event()

        def end() -> None:
            while not over.is_set() and not ended.wait(0.5):
                pass
            podman.terminate()

        ender = threading.Thread(target=end, name="podman-events", daemon=True)
        ender.start()
        try:
            for _ in podman.stdout:
                heard()
        finally:
            over.set()
            ender.join()
        said = os.fsdecode(podman.stderr.read(4096)).strip()
    if not ended.is_set():
        raise Problem(f"`podman events` ended: {said or podman.returncode}", mend="see what podman says")
