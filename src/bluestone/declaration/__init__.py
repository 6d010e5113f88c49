"""`bluestone.toml`: read, checked, explained.

All is imported when it is used: what only needs a size or a duration understood does not wait for pydantic.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bluestone.model.declaration import Declaration

__all__ = ["parse", "read", "reference", "schema", "template"]


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


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file, for editors."""
    from bluestone.declaration.schema import schema as made

    return made()


def reference() -> str:
    """The reference page of the file, as Markdown."""
    from bluestone.declaration.reference import reference as written

    return written()


def template(project: str, base: str) -> str:
    """A commented file to begin with, for a project's name and a base such as `debian:trixie`.

    Raises `Problem` when one of the two cannot be what it is to be.
    """
    from bluestone.declaration.template import template as filled

    return filled(project, base)
