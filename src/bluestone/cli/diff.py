"""`diff`: what differs from one image to another."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable


@click.command()
@file_option
@json_option
@click.argument("old")
@click.argument("new", required=False)
@click.option("--files", "all_files", is_flag=True, help="Show also files that differ because their package does.")
def diff(file: Path, as_json: bool, old: str, new: str | None, all_files: bool) -> None:
    """Show what differs from image OLD to image NEW: packages, configuration, files.

    Both are digests or beginnings of them; NEW left out is the declaration's own image, which must be built.
    """
    from bluestone.app.image.diff import compare
    from bluestone.app.project import Project
    from bluestone.image.diff import text

    changes = compare(Project.open(file), old, new)
    click.echo(options.as_json(changes) if as_json else printable(text(changes, all_files=all_files)))
