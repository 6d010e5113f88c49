"""`state`: where the journal is, and how it gets elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option


@click.group()
def state() -> None:
    """Show where the journal is and who leads, or move it."""


@state.command()
@file_option
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show where the journal is, its head, and who leads the fleet or led it last."""
    from bluestone.app.state import state as use_case

    found = use_case(Project.open(file))
    if as_json:
        click.echo(options.as_json(found))
        return
    leader = found.leader
    said = "nobody has led yet"
    if leader is not None:
        said = f"{'leads' if leader.left > 0 else 'led last'}, epoch {leader.epoch}: {leader.holder}"
    click.echo(f"journal: {found.where}\nhead:    {found.head}\nleader:  {said}")


@state.command()
@file_option
@json_option
def move(file: Path, as_json: bool) -> None:
    """Carry the journal to where [state] in the declaration says: to a database, or back to this machine."""
    from bluestone.app.state import move as use_case

    moved = use_case(Project.open(file))
    if as_json:
        click.echo(options.as_json({"moved": moved}))
    elif moved is None:
        click.echo("the journal is where it is declared to be: nothing to do")
    else:
        click.echo(f"{moved.entries} entries moved from {moved.source} to {moved.target}")
