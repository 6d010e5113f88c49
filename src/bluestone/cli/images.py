"""`build`, `images`: what servers are made of."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, locked_option, table
from bluestone.model.ids import short


@click.command()
@file_option
@json_option
@locked_option
@click.option("--scratch", is_flag=True, help="Build from nothing, and compare with what is stored.")
@click.option("--twice", is_flag=True, help="Apply Puppet and Ansible twice; refuse an image that changes again.")
def build(file: Path, as_json: bool, locked: bool, scratch: bool, twice: bool) -> None:
    """Build the image, if it is not built yet."""
    from bluestone.app.image.build import build_image
    from bluestone.app.image.lock import settled
    from bluestone.app.project import Project

    def say(text: str) -> None:
        click.echo(text, err=True)

    project = Project.open(file)
    image = build_image(project, settled(project, say, exact=locked), say, scratch=scratch, twice=twice)
    if as_json:
        click.echo(options.as_json(image))
        return
    click.echo(f"{image.digest}  {len(image.packages)} packages, {image.size / 2**20:.0f} MiB")


@click.command()
@file_option
@json_option
def images(file: Path, as_json: bool) -> None:
    """List the images in the store of this machine, and whether a build from nothing gives the same."""
    from bluestone.app import wiring
    from bluestone.app.image.build import prove_patches
    from bluestone.app.project import Project

    project = Project.open(file)
    store = wiring.images(project)
    prove_patches(project)
    found = sorted(store.list(), key=lambda image: image.built_at)
    states = [store.state(image.digest) for image in found]
    if as_json:
        listed = [msgspec.to_builtins(image, enc_hook=str) for image in found]
        click.echo(options.as_json([{**image, "proof": state} for image, state in zip(listed, states, strict=True)]))
        return
    rows = [
        (short(i.digest), f"{i.built_at:%Y-%m-%d %H:%M}", len(i.packages), f"{i.size / 2**20:.0f} MiB", state)
        for i, state in zip(found, states, strict=True)
    ]
    click.echo(table(("IMAGE", "BUILT (UTC)", "PACKAGES", "SIZE", "PROOF"), rows))
