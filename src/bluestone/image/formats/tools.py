"""The tools that pack images: a Debian tree of their own, so that this machine needs none, and all have the same.

They run inside that tree (`sandbox.inside`): they see nothing of this machine but the directory in which they work.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec.structs import replace

from bluestone.host.commands import run
from bluestone.image.sandbox import inside
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, Recipe

RECIPE = Recipe(
    # Debian 12 has no ukify.
    Base("debian", "trixie"),
    packages=(
        "busybox-static",
        "cryptsetup-bin",
        "dmsetup",
        "dosfstools",
        "gzip",
        "mtools",
        "squashfs-tools",
        "systemd-boot-efi",
        "systemd-ukify",
        "zstd",
    ),
)

LOCK = "tools.lock"
"""Where the store of images has the lock of the tools: one for all projects of a machine."""

WORK = "srv"
"""Where the tools see the directory in which they work."""

LIMIT = 1200.0
"""Seconds that one tool may take."""


def recipe(base: Base) -> Recipe:
    """The tools for images of this base: from its archive, if it names one that has them."""
    named = base.archive if base.distribution == RECIPE.base.distribution else None
    return replace(RECIPE, base=replace(RECIPE.base, archive=named))


def open_tools(root: Path, work: Path) -> None:
    """Let the tools see `work`. To be called in `enclosed`: the mounts end with the calling process."""
    if not (root / WORK).is_dir():
        raise Problem(f"{root} is no tree of tools", mend="remove it, and run the same again")
    for command in mounts(root, work):
        run(command, timeout=30)


def mounts(root: Path, work: Path) -> list[list[str]]:
    """The commands by which the tools see `work`, and have a place for what they keep for a moment."""
    return [
        ["mount", "--bind", str(work), str(root / WORK)],
        ["mount", "-t", "tmpfs", "-o", "nosuid,nodev,mode=1777", "none", str(root / "tmp")],
    ]


def seen(name: str) -> str:
    """The path under which the tools see a file of the directory in which they work."""
    return f"/{WORK}/{name}"


def use(root: Path, command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """What a tool prints. Raises `Problem`."""
    return run(inside(root, command, environment), timeout=LIMIT)


def feed(root: Path, command: Sequence[str], pieces: Iterable[bytes], output: Path | None = None) -> None:
    """Have a tool read these pieces from its standard input, and write `output` if given. Raises `Problem`."""
    with ExitStack() as opened:
        said = opened.enter_context(tempfile.TemporaryFile())
        stdout = opened.enter_context(output.open("wb")) if output else said
        process = opened.enter_context(
            subprocess.Popen(inside(root, command), stdin=subprocess.PIPE, stdout=stdout, stderr=said)
        )
        assert process.stdin is not None
        try:
            for piece in pieces:
                process.stdin.write(piece)
            process.stdin.close()
        except BrokenPipeError:
            pass  # It ended before it had read all; what it said tells why.
        except BaseException:
            process.kill()
            raise
        if process.wait():
            said.seek(0)
            raise _failed(command, process.returncode, said.read())


def converted(root: Path, command: Sequence[str], content: bytes) -> bytes:
    """What a tool makes of its standard input. Raises `Problem`."""
    done = subprocess.run(inside(root, command), input=content, capture_output=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise _failed(command, done.returncode, done.stderr)
    return done.stdout


def _failed(command: Sequence[str], status: int, said: bytes) -> Problem:
    text = said.decode(errors="replace").strip()
    if "No space left" in text:
        return Problem("the disk is full", mend="free some space, or choose a place on a larger disk")
    return Problem(f"{command[0]} failed with status {status}:\n     {text}", mend="mend what it says")
