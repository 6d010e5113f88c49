"""Writes docs/reference/cli.md from the verbs themselves: `python -m bluestone.cli.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from bluestone.cli.main import bluestone
from bluestone.cli.verbs import VERBS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def reference() -> str:
    """The help of every verb as one Markdown page."""
    context = click.Context(bluestone, info_name="bluestone")
    return "\n".join(_page(context)) + "\n"


def _page(context: click.Context) -> Iterator[str]:
    yield "# The command line"
    yield ""
    yield "Written by `./dev docs` from the code."
    yield ""
    yield "A verb exits with 0 if all is well, 1 on an error, 130 if interrupted; `plan` with 2 for changes."
    for verb in VERBS:
        command = bluestone.get_command(context, verb)
        assert command is not None
        own = _context(command, verb, context)
        yield from ("", f"## {verb}", "", "```text", command.get_help(own), "```")
        if isinstance(command, click.Group):
            for name in command.list_commands(own):
                below = command.get_command(own, name)
                assert below is not None
                yield from ("", f"### {verb} {name}", "", "```text", below.get_help(_context(below, name, own)), "```")


def _context(command: click.Command, name: str, parent: click.Context) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, terminal_width=90, max_content_width=90)


if __name__ == "__main__":
    PAGE.write_text(reference())
