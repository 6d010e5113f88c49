"""`logs sinks`: how far the places are that lines go on to."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table


@click.command()
@file_option
@json_option
def sinks(file: Path, as_json: bool) -> int:
    """Show what each log sink has, what it has yet to get, and why it takes none. Exits 2 if one takes none."""
    from bluestone.app.logs.sinkstates import sink_states
    from bluestone.app.project import Project

    states = sink_states(Project.open(file))
    if as_json:
        click.echo(options.as_json(states))
    elif states:
        rows = [
            (
                each.name,
                each.kind,
                str(each.taken),
                str(each.refused),
                str(each.behind),
                f"{each.last:%Y-%m-%d %H:%M:%S}" if each.last else "never",
                each.trouble or "-",
            )
            for each in states
        ]
        click.echo(
            printable(table(("SINK", "KIND", "TAKEN", "REFUSED", "BEHIND", "LAST TAKEN (UTC)", "TROUBLE"), rows))
        )
    else:
        click.echo("no sink is declared: see docs/howto/send-log-lines-elsewhere.md")
    return 2 if any(each.trouble for each in states) else 0
