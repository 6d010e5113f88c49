"""Programs that do not tell what they were built from, by the SHA-256 of their contents.

That is so of most. A stage keeps those of its tree: of an image on it, they need not be opened again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from bluestone.host.files import write_atomically

FILE = "silent"
"""The file beside a stage's tree: what was asked of the programs, and the digests of those that gave no answer."""

ASKED = ("elf", "go", "rust", "walk")
"""Modules beside this one that decide what tells something: with others, all programs are opened again."""


def recall(directory: Path) -> set[str]:
    """The silent programs that a directory keeps; none if it keeps none, or they were asked something else."""
    try:
        asked, *silent = (directory / FILE).read_text().split()
    except (FileNotFoundError, ValueError):
        return set()
    return set(silent) if asked == _asked() else set()


def keep(directory: Path, silent: Iterable[str]) -> None:
    """Have a directory keep these. Raises `OSError`."""
    write_atomically(directory / FILE, "\n".join([_asked(), *sorted(silent), ""]).encode())


def inherit(source: Path, directory: Path) -> None:
    """Have a directory know what another does, if that knows any: its tree has most of the same programs."""
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        os.link(source / FILE, directory / FILE)


@cache
def _asked() -> str:
    texts = [Path(__file__).with_name(f"{name}.py").read_bytes() for name in ASKED]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()
