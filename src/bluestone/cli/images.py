"""`build`, `images`: what servers are made of."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, locked_option, table
from bluestone.model.ids import short


@click.command()
@file_option
@json_option
@locked_option
def build(file: Path, as_json: bool, locked: bool) -> None:
    """Build the image, if it is not built yet."""
    from bluestone.app.build import build_image
    from bluestone.app.lock import settled
    from bluestone.app.project import Project

    def say(text: str) -> None:
        click.echo(text, err=True)

    project = Project.open(file)
    image = build_image(project, settled(project, say, exact=locked), say)
    if as_json:
        click.echo(options.as_json(image))
        return
    click.echo(f"{image.digest}  {len(image.packages)} packages, {image.size / 2**20:.0f} MiB")


@click.command()
@file_option
@json_option
def images(file: Path, as_json: bool) -> None:
    """List the images in the store of this machine."""
    from bluestone.app import wiring
    from bluestone.app.project import Project

    found = sorted(wiring.images(Project.open(file)).list(), key=lambda image: image.built_at)
    if as_json:
        click.echo(options.as_json(found))
        return
    rows = [
        (short(i.digest), f"{i.built_at:%Y-%m-%d %H:%M}", len(i.packages), f"{i.size / 2**20:.0f} MiB") for i in found
    ]
    click.echo(table(("IMAGE", "BUILT (UTC)", "PACKAGES", "SIZE"), rows))
