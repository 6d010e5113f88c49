"""`volumes` and `volumes rm`: what outlives servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, table
from bluestone.model.volume import Volume

UNITS = ("B", "kB", "MB", "GB", "TB")


@click.group(invoke_without_command=True)
@file_option
@json_option
@click.pass_context
def volumes(context: click.Context, file: Path, as_json: bool) -> None:
    """List the volumes of servers, also of those that are gone."""
    from bluestone.app.fleet.volumes import list_volumes
    from bluestone.app.project import Project

    context.obj = file
    if context.invoked_subcommand is not None:
        return
    found = list_volumes(Project.open(file))
    if as_json:
        click.echo(options.as_json(found))
        return
    rows = [
        (v.name, v.group, v.slot, _whereabouts(v), _size(v.size), f"{v.created_at:%Y-%m-%d %H:%M:%S}") for v in found
    ]
    click.echo(table(("VOLUME", "GROUP", "SLOT", "ON SERVER", "SIZE", "MADE (UTC)"), rows))


@volumes.command()
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("-f", "--file", type=click.Path(path_type=Path, dir_okay=False), help="The declaration.")
@click.pass_obj
def rm(named_before: Path, names: tuple[str, ...], yes: bool, file: Path | None) -> None:
    """Destroy volumes and all that is in them. Refused for one that is on a server."""
    from bluestone.app.fleet.volumes import find, remove
    from bluestone.app.project import Project

    project = Project.open(file or named_before)
    found = find(project, names)
    if not yes:
        click.confirm(f"Destroy {_listed(found)}, and all data on {_it(found)}?", abort=True)
    remove(project, names)
    click.echo(f"destroyed {_listed(found)}")


def _whereabouts(volume: Volume) -> str:
    """The server that has it, or that it is put away."""
    if volume.snapshot is not None:
        return f"asleep: snapshot of {_size(volume.snapshot)}"
    return volume.server or "-"


def _listed(volumes: Sequence[Volume]) -> str:
    return ", ".join(volume.name for volume in volumes)


def _it(volumes: Sequence[Volume]) -> str:
    return "it" if len(volumes) == 1 else "them"


def _size(size: int | None) -> str:
    """A size in units of 1000, as declared ones are mostly written; `-` where there is none."""
    if size is None:
        return "-"
    amount, unit = float(size), UNITS[0]
    for unit in UNITS:
        if amount < 1000 or unit == UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.3g} {unit}"
