"""`lock`: which packages an image is made of, to the byte."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option
from bluestone.model.problem import Problem

EXIT_CHANGES = 2
"""What `lock --check` exits with when the lock would change."""


@click.command()
@click.argument("packages", nargs=-1)
@file_option
@json_option
@click.option(
    "--upgrade", is_flag=True, help="Move pins to what the archives have today: all, or those of PACKAGES alone."
)
@click.option("--security", is_flag=True, help="Move those pins that the security suite has a newer version of.")
@click.option("--check", is_flag=True, help="Write nothing; exit 2 if the lock would change, 0 if not.")
def lock(packages: tuple[str, ...], file: Path, as_json: bool, upgrade: bool, security: bool, check: bool) -> int:
    """Pin every package of the image in bluestone.lock, beside the declaration.

    Pins stay as they are unless what is declared needs others, or --upgrade or --security moves them. PACKAGES are
    names of binary or source packages.
    """
    from bluestone.app.image.lock import lock as use_case
    from bluestone.app.project import Project
    from bluestone.image.lock import diff
    from bluestone.image.lock.pins import Upgrade

    if packages and not upgrade:
        raise Problem(
            f"{' '.join(packages)}: packages are named to move their pins only",
            mend=f"bluestone lock --upgrade {' '.join(packages)}; what is installed is declared in image.packages",
        )
    if security and upgrade:
        raise Problem(
            "--security moves fewer pins than --upgrade: both together have no meaning", mend="choose one of them"
        )
    move = Upgrade(everything=upgrade and not packages, names=frozenset(packages), security=security)
    outcome = use_case(Project.open(file), move, lambda text: click.echo(text, err=True), check=check)
    if as_json:
        told = {"changed": outcome.changed, "written": outcome.changed and not check, "file": str(outcome.file)}
        click.echo(options.as_json(told | {"packages": len(outcome.new.packages), "changes": outcome.changes}))
    elif not outcome.changed:
        click.echo(f"{outcome.file} is up to date: {len(outcome.new.packages)} packages")
    else:
        if outcome.old is not None:
            click.echo(diff.text(outcome.changes))
        verb = "would write" if check else "wrote"
        click.echo(f"{verb} {outcome.file}: {len(outcome.new.packages)} packages")
    return EXIT_CHANGES if check and outcome.changed else 0
