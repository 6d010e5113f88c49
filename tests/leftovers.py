"""What tests that were cut off left in podman: removed by who tests next. Projects of tests are called `tPIDxANY`."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

OWN = re.compile(r"bluestone-t(\d+)x")

KINDS = (
    # Each frees what the next one holds.
    (("ps", "--all", "--format", "{{.Names}}"), ("rm", "--force", "--time", "0", "--ignore")),
    (("volume", "ls", "--format", "{{.Name}}"), ("volume", "rm", "--force")),
    (("network", "ls", "--format", "{{.Name}}"), ("network", "rm", "--force")),
)


def project_name() -> str:
    """A project's name by which it is known which process of tests it is of."""
    return f"t{os.getpid()}x{uuid.uuid4().hex[:4]}"


def of_the_dead(names: Iterable[str], lives: Callable[[int], bool]) -> list[str]:
    """Those of these names that are of processes of tests that live no more."""
    found = [(name, OWN.match(name)) for name in names]
    return [name for name, own in found if own and not lives(int(own[1]))]


def sweep() -> None:
    """Remove the containers, volumes and networks of tests whose process is gone. Another may do the same."""
    for listing, removal in KINDS:
        listed = subprocess.run(["podman", *listing], capture_output=True, text=True, timeout=60, check=False)
        for name in of_the_dead(listed.stdout.split(), lambda pid: Path("/proc", str(pid)).exists()):
            subprocess.run(["podman", *removal, name], capture_output=True, timeout=60, check=False)
