"""`init`, `check`, `schema`: the file that a person writes."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option
from bluestone.model.problem import Problem


@click.command()
@click.argument("project", required=False)
@file_option
def init(project: str | None, file: Path) -> None:
    """Write a commented bluestone.toml to begin with."""
    from bluestone.app.init import write_declaration

    write_declaration(file, project)
    click.echo(f"wrote {file}: read it, change it, then run `bluestone check` and `bluestone up`")


@click.command()
@file_option
@json_option
def check(file: Path, as_json: bool) -> None:
    """Check the declaration: all that is wrong in it, with place and mend."""
    from bluestone.app.project import Project

    project = Project.open(file)
    if as_json:
        found = {"project": project.name, "groups": project.groups, "image": project.declaration.recipe}
        click.echo(options.as_json(found))
        return
    servers = ", ".join(f"{group.count} x {group.name}" for group in project.groups)
    click.echo(f"{file} is right: project {project.name}, {servers or 'no servers'}")


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of bluestone.toml, for editors."""
    from bluestone.declaration.schema import schema as made

    text = options.as_json(made())
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n")
    except OSError as error:
        raise Problem(f"cannot write {output}: {error.strerror}", mend="name another file") from error
