"""`plan`, `up`, `rollback`, `down`: from what is to what shall be."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, locked_option, take_over_option

EXIT_CHANGES = 2
"""What `plan` exits with when `up` would change something."""


@click.command()
@file_option
@json_option
def plan(file: Path, as_json: bool) -> int:
    """Show what `up` would do. Exits 0 for no change, 2 for changes, 1 for an error."""
    project = Project.open(file)
    wiring.look_ahead(project)
    from bluestone.app.fleet.up import intend
    from bluestone.fleet import explain

    intention = intend(project)
    if as_json:
        click.echo(
            options.as_json(
                explain.data(intention.forecast)
                | {"builds": intention.builds, "locks": intention.locks, "asleep": intention.asleep}
            )
        )
    else:
        if intention.locks:
            click.echo("     * lock    the packages: there is no lock yet, and `up` writes one first")
        if intention.builds:
            click.echo("     * build   the image: this recipe has not been built yet")
        for text in intention.asleep:
            click.echo(f"{text}{'; then of another generation than before' if intention.leads else ''}")
        click.echo(explain.text(intention.forecast))
    return EXIT_CHANGES if intention.changes else 0


@click.command()
@click.argument("plan_id", required=False, metavar="[PLAN]")
@file_option
@json_option
@locked_option
@take_over_option
def up(plan_id: str | None, file: Path, as_json: bool, locked: bool, take_over: bool) -> int:
    """Make the servers what the declaration says. With PLAN, only if that is still the plan."""
    from bluestone.cli.progress import Reporter
    from bluestone.daemon import lead

    project = Project.open(file)
    with Reporter(as_json=as_json) as reporter:
        arrival = lead.up(
            project,
            plan_id,
            exact=locked,
            take_over=take_over,
            notify=reporter.event,
            watch=reporter.watch,
            progress=reporter.say,
        )
    return reporter.close(arrival, project)


@click.command()
@click.argument("groups", nargs=-1)
@file_option
@json_option
@take_over_option
def rollback(groups: tuple[str, ...], file: Path, as_json: bool, take_over: bool) -> int:
    """Go back to the generation that served before. The declaration stays as it is."""
    from bluestone.cli.progress import Reporter
    from bluestone.daemon import lead

    project = Project.open(file)
    with Reporter(as_json=as_json) as reporter:
        arrival = lead.rollback(project, groups, take_over=take_over, notify=reporter.event, watch=reporter.watch)
    return reporter.close(arrival, project)


@click.command()
@file_option
@json_option
@take_over_option
def down(file: Path, as_json: bool, take_over: bool) -> int:
    """Destroy all servers and stop what runs beside them. Log lines, events, images and volumes stay."""
    from bluestone.app.fleet.volumes import list_volumes
    from bluestone.cli.progress import Reporter
    from bluestone.daemon import lead

    project = Project.open(file)
    with Reporter(as_json=as_json) as reporter:
        arrival = lead.down(project, take_over=take_over, notify=reporter.event, watch=reporter.watch)
    kept = [] if arrival.failures else list_volumes(project)
    volumes = f", and so do the volumes {', '.join(volume.name for volume in kept)}" if kept else ""
    return reporter.close(arrival, project, end=f"nothing runs any more; logs and events stay{volumes}")
