"""Which of two versions is newer, as dpkg sees it."""

from __future__ import annotations

import subprocess

from bluestone.host.commands import require


def newer(one: str, other: str) -> bool:
    """Whether the first version is newer than the second in Debian's order (deb-version(7)). Raises `MissingTool`."""
    require("dpkg")
    done = subprocess.run(
        ["dpkg", "--compare-versions", one, "gt", other], capture_output=True, check=False, timeout=30
    )
    return done.returncode == 0
