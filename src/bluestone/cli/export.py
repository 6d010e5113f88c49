"""`export`: an image for other engines, virtual machines and clouds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option

if TYPE_CHECKING:
    from bluestone.image.formats.export import Format
    from bluestone.image.formats.oci import Compression


@click.command()
@file_option
@json_option
@click.argument("given", nargs=-1, required=True, metavar="[IMAGE] DESTINATION")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["oci", "oci-tar", "disk", "tar"]),
    required=True,
    help="oci: a directory for container engines; oci-tar: the same as one file; disk: a raw disk that boots by "
    "UEFI, its root verified; tar: the tree alone.",
)
@click.option(
    "--compress",
    "compression",
    type=click.Choice(["none", "gzip", "zstd"]),
    default="none",
    show_default=True,
    help="How the layer of an OCI image is packed.",
)
@click.option("--force", is_flag=True, help="Replace what is at the destination.")
def export(
    file: Path,
    as_json: bool,
    given: tuple[str, ...],
    wanted: Format,
    compression: Compression,
    force: bool,
) -> None:
    """Write an image to DESTINATION.

    IMAGE is a digest or the beginning of one; left out, it is the declaration's own, which must be built.
    """
    from bluestone.app.image.export import export_image
    from bluestone.app.project import Project

    if len(given) > 2:
        raise click.UsageError("at most an image and a destination are given")
    if compression != "none" and not wanted.startswith("oci"):
        raise click.UsageError("--compress is for the formats oci and oci-tar")
    done = export_image(
        Project.open(file),
        given[0] if len(given) == 2 else None,
        Path(given[-1]),
        wanted,
        lambda text: click.echo(text, err=True),
        force=force,
        compression=compression,
    )
    if as_json:
        click.echo(options.as_json(done))
        return
    what = "manifest" if wanted.startswith("oci") else "file"
    click.echo(f"image     {done.image}")
    click.echo(f"{what:<9} {done.digest}  {done.size / 2**20:.0f} MiB  {done.destination}")
    if done.root_hash:
        click.echo(f"root      {done.root_hash}")
