"""`pause`, `resume`: hands off, and on again."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.app.project import Project
from bluestone.cli.options import file_option


@click.command()
@click.argument("groups", nargs=-1)
@click.option("--why", default="", help="What others should know.")
@file_option
def pause(groups: tuple[str, ...], why: str, file: Path) -> None:
    """Have nothing done to GROUPS (to all servers, if none is named) until `resume`."""
    from bluestone.app.fleet import pause as use_case
    from bluestone.daemon import presence

    project = Project.open(file)
    said = use_case.pause(project, groups, why)
    presence.wake(project)
    click.echo(f"{', '.join(groups) or 'everything'}: {said}")


@click.command()
@click.argument("groups", nargs=-1)
@file_option
def resume(groups: tuple[str, ...], file: Path) -> None:
    """End a pause. A generation of a named group that failed may be tried again, and its canaries go on."""
    from bluestone.app.fleet import pause as use_case
    from bluestone.daemon import presence

    project = Project.open(file)
    said = use_case.resume(project, groups)
    presence.wake(project)
    goes_on = "the daemon" if presence.find(project) else "`bluestone up`"
    click.echo(f"{', '.join(groups) or 'everything'}: {said}; {goes_on} goes on from here")
