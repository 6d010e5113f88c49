"""`logs reads`: who read what."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table


@click.command()
@click.option("--who", metavar="USER", help="Only what this user read.")
@click.option("--since", help='How far back: "15m ago", "2h", "today", or a date.')
@click.option("-n", "--number", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most.")
@file_option
@json_option
def reads(who: str | None, since: str | None, number: int, file: Path, as_json: bool) -> None:
    """Show who read which lines through `bluestone web`, and check that no entry was changed or removed."""
    from bluestone.app.logs.reads import reads as look
    from bluestone.app.project import Project

    found = look(Project.open(file), who, since, number)
    if as_json:
        click.echo(options.as_json(found))
        return
    rows = [
        (
            f"{read.at.astimezone():%Y-%m-%d %H:%M:%S}",
            f"{read.who} ({read.role})",
            read.what,
            "begun" if read.lines is None else read.lines,
            " ".join(f"{name}={value!r}" for name, value in read.asked.items()),
        )
        for read in found.reads
    ]
    click.echo(printable(table(("AT", "WHO", "WHAT", "LINES", "ASKED"), rows)) if rows else "nobody has read a line")
    click.echo(f"{found.total} reads, each bound to the one before; the last is {found.head[:12]}", err=True)
