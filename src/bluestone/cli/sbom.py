"""`sbom`: what is in an image, exactly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import click

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table
from bluestone.model.bom import Bom, Component

WIDEST = 36
"""Characters of the licences of a package in the table; JSON and the documents have them all."""


@click.command()
@file_option
@json_option
@click.argument("image", required=False)
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["table", "cyclonedx", "spdx"]),
    default="table",
    show_default=True,
    help="table: for people; cyclonedx: CycloneDX 1.6; spdx: SPDX 2.3, both JSON, as kept beside the image.",
)
def sbom(file: Path, as_json: bool, image: str | None, wanted: Literal["table", "cyclonedx", "spdx"]) -> None:
    """Show what is in an image: its packages, of Debian and of languages, and what no package accounts for.

    IMAGE is a digest or the beginning of one; left out, it is the declaration's own, which must be built.
    """
    from bluestone.app.image.sbom import bill, contents
    from bluestone.app.project import Project

    project = Project.open(file)
    if wanted != "table":
        click.echo(bill(project, image, wanted), nl=False)
        return
    bom = contents(project, image)
    click.echo(options.as_json(bom) if as_json else shown(bom))


def shown(bom: Bom) -> str:
    """A bill as a table, and below it what is not in the table."""
    rows = [
        (each.ecosystem, each.name, each.version, _licences(each.licences), _origin(each)) for each in bom.components
    ]
    lines = [table(("KIND", "NAME", "VERSION", "LICENCES", "FROM"), rows), ""]
    counts = Counter(each.ecosystem for each in bom.components)
    lines.append(", ".join(f"{count} {kind}" for kind, count in counts.items()) or "no packages")
    lines.append(f"{len(bom.files)} files that no package owns: bluestone sbom --json")
    lines += [f"not identified: {each.path}: {each.reason}" for each in bom.unidentified]
    return printable("\n".join(lines))


def _licences(names: tuple[str, ...]) -> str:
    """As many as a column has room for: some packages have thirty, and a line that wraps is no table."""
    text = ", ".join(names) or "?"
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3].rpartition(',')[0] or text[: WIDEST - 5]}, ..."


def _origin(each: Component) -> str:
    """For a Debian package its source; for others the package that brought them, or else their path."""
    if each.ecosystem == "deb":
        return f"{each.source} {each.source_version}"
    declared = " (named by a lock file; it need not be there)" if each.declared else ""
    return (f"package {each.owner}" if each.owner else each.path) + declared
