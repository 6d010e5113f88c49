"""Shell commands of a recipe, run in its tree one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bluestone.image.child import follow
from bluestone.image.normalise import EPOCH
from bluestone.image.sandbox import inside
from bluestone.model.problem import Problem


def run_all(commands: tuple[str, ...], root: Path, limit: float, say: Callable[[str], None]) -> None:
    """Run commands as root of a tree; each may take `limit` seconds. To be called in `enclosed`. Raises `Problem`."""
    for command in commands:
        say(f"running: {shown(command)}")
        _run(root, command, limit)


def shown(command: str) -> str:
    """A command as one short line."""
    lines = command.strip().splitlines()
    line = lines[0] if lines else ""
    return line if len(lines) <= 1 and len(line) <= 80 else f"{line[:77]}..."


def _run(root: Path, command: str, limit: float) -> None:
    variables = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    ending = follow(inside(root, ["sh", "-eu", "-c", command], variables), timeout=limit)
    if ending.status is None:
        raise Problem(
            f"`{shown(command)}` of image.run did not end within {limit:g} s{ending.quoted()}",
            mend="have it end by itself; nothing of it goes on in the image",
        )
    if ending.status:
        raise Problem(
            f"`{shown(command)}` of image.run failed with status {ending.status}{ending.quoted()}",
            mend="correct the command; it runs in the image as root, without a network",
        )
