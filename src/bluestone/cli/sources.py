"""`logs allow` and `logs forbid`: who may send lines besides servers."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.cli.options import file_option


@click.command()
@click.argument("name")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a certificate with its key to this file, in the place of a token: syslog needs one.",
)
@file_option
def allow(name: str, certificate: Path | None, file: Path) -> None:
    """Let a device or program send lines under NAME, and read none. Prints its token, which is kept nowhere."""
    from bluestone.app.logs.sources import allow as let_in
    from bluestone.app.logs.sources import authority
    from bluestone.app.project import Project

    project = Project.open(file)
    token = let_in(project, name, certificate)
    click.echo(token or f"{certificate} lets {name} in; it has a private key: hand it over with care")
    if trusted := authority(project):
        click.echo(f"senders must trust {trusted}", err=True)


@click.command()
@click.argument("name")
@file_option
def forbid(name: str, file: Path) -> None:
    """Take the tokens and certificates of NAME back. Its lines stay."""
    from bluestone.app.logs.sources import forbid as shut_out
    from bluestone.app.project import Project

    shut_out(Project.open(file), name)
    click.echo(f"{name} can send no more lines")
