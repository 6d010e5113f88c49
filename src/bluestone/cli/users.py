"""`users`: who may look at the project through `bluestone web`."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, table
from bluestone.model.user import Role

ROLES = [role.value for role in Role]


@click.group()
def users() -> None:
    """Say who may look through `bluestone web`, and as what: readers search, operators also export and hold lines."""


@users.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default=Role.READER.value,
    show_default=True,
    help="What they may do.",
)
@file_option
def add(name: str, role: str, file: Path) -> None:
    """Add a user. Prints their token once; only its hash is kept."""
    from bluestone.app.users import add as use_case

    click.echo(use_case(Project.open(file), name, Role(role)))
    click.echo(f"{name} is {role}; this token is shown once: hand it over with care", err=True)


@users.command("list")
@file_option
@json_option
def list_(file: Path, as_json: bool) -> None:
    """Show the users, their roles, and since when their tokens are good."""
    from bluestone.app.users import users_of

    found = users_of(Project.open(file)).all()
    if as_json:
        click.echo(options.as_json([{"name": u.name, "role": u.role, "since": u.since} for u in found]))
    elif found:
        click.echo(
            table(("USER", "ROLE", "TOKEN SINCE (UTC)"), [(u.name, u.role, f"{u.since:%Y-%m-%d %H:%M}") for u in found])
        )
    else:
        click.echo("there are no users: `bluestone web` lets in who started it, at the address that it prints")


@users.command()
@click.argument("name")
@file_option
def rotate(name: str, file: Path) -> None:
    """Give a user a new token, shown once. The old one, and what was logged in by it, ends at once."""
    from bluestone.app.users import rotate as use_case

    click.echo(use_case(Project.open(file), name))
    click.echo(f"this token of {name} is shown once; the old one is good no longer", err=True)


@users.command()
@click.argument("name")
@file_option
def remove(name: str, file: Path) -> None:
    """Have a user no more; who is logged in is out at once."""
    from bluestone.app.users import users_of

    users_of(Project.open(file)).remove(name)
    click.echo(f"{name} is let in no longer")
