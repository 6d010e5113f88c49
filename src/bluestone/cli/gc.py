"""`gc`: give back the space of what nobody needs any more."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import DurationType, file_option, json_option, table
from bluestone.model.ids import short

MIB = 2**20


@click.command()
@file_option
@json_option
@click.option("--dry-run", is_flag=True, help="Remove nothing; show what would be removed.")
@click.option(
    "--keep",
    type=click.IntRange(0, 1000),
    default=1,
    show_default=True,
    help="Generations before each group's current one whose images stay, to roll back to.",
)
@click.option(
    "--unused-for",
    type=DurationType(),
    default="1d",
    show_default=True,
    help="Images and packages that were built, used or fetched within this time stay.",
)
def gc(file: Path, as_json: bool, dry_run: bool, keep: int, unused_for: timedelta) -> None:
    """Remove images and packages on this machine that nobody needs any more.

    What stays: images that a server of any project runs on, that are declared, or that can be rolled back to; and
    the packages that these were built from.
    """
    from bluestone.app.image.gc import Policy, collect
    from bluestone.app.project import Project
    from bluestone.daemon import lead

    project = Project.open(file)
    with lead.alone(project):
        cleaning = collect(project, Policy(keep, unused_for), dry=dry_run)
    if as_json:
        click.echo(options.as_json(cleaning))
        return
    gone = "would go" if dry_run else "gone"
    rows = [
        (short(i.digest), f"{i.built_at:%Y-%m-%d %H:%M}", f"{i.size / MIB:.0f} MiB", verdict.kept or gone)
        for verdict in cleaning.verdicts
        if (i := verdict.image)
    ]
    if rows:
        click.echo(table(("IMAGE", "BUILT (UTC)", "SIZE", ""), rows))
    doomed = sum(not verdict.kept for verdict in cleaning.verdicts)
    verb = "would remove" if dry_run else "removed"
    freed = "" if dry_run else f"; {cleaning.freed / MIB:.0f} MiB freed, {cleaning.free / MIB:.0f} MiB free now"
    click.echo(f"{verb} {doomed} images and {cleaning.packages} packages{freed}")
