"""`bluestone.toml`: read, checked, explained.

`read` and `parse` are what every command needs; the rest is imported when it is used.
"""

from __future__ import annotations

from typing import Any

from bluestone.declaration.parse import parse, read

__all__ = ["parse", "read", "reference", "schema", "template"]


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
