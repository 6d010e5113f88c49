"""Options that several verbs take, and how values become text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
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


take_over_option = click.option(
    "--take-over",
    is_flag=True,
    help="Of machines that share a fleet: lead from here from now on, and fence off whoever does.",
)


class DurationType(click.ParamType[timedelta]):
    """A duration as the declaration has them: `90s`, `1h30m`, `2d`."""

    name = "duration"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration, or click's own error."""
        from bluestone.declaration.fault import Fault
        from bluestone.declaration.quantities import duration

        if isinstance(value, timedelta):
            return value
        try:
            return duration(value)
        except Fault as fault:
            self.fail(f"{fault.what}: {fault.mend}", param, ctx)


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


def printable(text: str) -> str:
    """A text of which nothing speaks to the terminal: names in it come from files that anybody may have written."""
    return "\n".join(line if line.isprintable() else _harmless(line) for line in text.split("\n"))


def _harmless(line: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in line)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as they need to be, two spaces apart."""
    lines = [tuple(map(str, row)) for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    form = "  ".join(f"%-{width}s" for width in widths)  # A third of the time of padding cell by cell.
    return "\n".join([(form % line).rstrip() for line in lines])
