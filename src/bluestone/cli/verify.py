"""`verify`, `key`: who vouches for an image, and whether it is what they say."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable


@click.command()
@file_option
@json_option
@click.argument("image", required=False)
@click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Trust this key as well: a file with what `bluestone key` prints. Can be given several times.",
)
@click.option("--rebuild", is_flag=True, help="Also build it anew from its lock, and compare every byte.")
def verify(file: Path, as_json: bool, image: str | None, keys: tuple[Path, ...], rebuild: bool) -> int:
    """Check an image: who signed it, its lock, every byte of its tree, its bills. Exits 1 if anything is wrong.

    IMAGE is a digest or the beginning of one; left out, it is the declaration's own, which must be built.
    """
    from bluestone.app.image.verify import verify as use_case
    from bluestone.app.project import Project

    project = Project.open(file)
    found, checks = use_case(project, image, keys, lambda text: click.echo(text, err=True), rebuild=rebuild)
    is_well = all(check.ok for check in checks)
    if as_json:
        click.echo(options.as_json({"image": found.digest, "ok": is_well, "checks": checks}))
        return 0 if is_well else 1
    click.echo(f"image      {found.digest}")
    for check in checks:
        click.echo(printable(f"{check.name:<9}  {'ok' if check.ok else 'WRONG':<5}  {check.what}"))
        if check.mend:
            click.echo(printable(f"           mend: {check.mend}"))
    return 0 if is_well else 1


@click.command()
@file_option
@json_option
def key(file: Path, as_json: bool) -> None:
    """Print the public key that this project's images are signed with; it is made if there is none yet."""
    from bluestone.app.image.provenance import public_key
    from bluestone.app.project import Project

    found = public_key(Project.open(file))
    click.echo(options.as_json({"id": found.id, "pem": found.pem}) if as_json else found.pem, nl=as_json)
