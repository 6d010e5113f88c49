"""`bluestone.toml`: read, checked, explained. `schema`, `template` and `reference` make what goes with it.

All is imported when it is used: what only needs a size or a duration understood does not wait for pydantic.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluestone.model.declaration import Declaration

__all__ = ["parse", "read"]


def read(file: Path) -> Declaration:
    """A declaration from its file. Raises `Problems` with all that is wrong."""
    from bluestone.declaration.text import read as found

    return found(file)


def parse(text: str, file: str, directory: Path) -> Declaration:
    """A declaration from its text, which people call `file`; relative paths in it begin in `directory`.

    Raises `Problems` with all that is wrong, in the order of the lines.
    """
    from bluestone.declaration.text import parse as found

    return found(text, file, directory)
