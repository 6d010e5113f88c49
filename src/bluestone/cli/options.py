"""Options that several verbs take, and how values become text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from bluestone.app.project import FILE

file_option = click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=FILE,
    show_default=True,
    help="The declaration.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


locked_option = click.option(
    "--locked", is_flag=True, help="Refuse a lock that is missing, or is not exactly what the declaration asks for."
)


def as_json(value: Any) -> str:
    """A value of the model as JSON, two spaces deep."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_as_text), indent=2).decode()


def as_json_line(value: Any) -> str:
    """A value of the model as JSON in one line."""
    return msgspec.json.encode(value, enc_hook=_as_text).decode()


def _as_text(value: Any) -> str:
    """What JSON has no form for: paths."""
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value)} has no form in JSON")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as they need to be, two spaces apart."""
    lines = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
