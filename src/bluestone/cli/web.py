"""`web`: search the logs in a browser, and by HTTP."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bluestone.app.project import Project
from bluestone.cli.options import file_option


class ListenType(click.ParamType[str]):
    """An address of this machine with a port; port 0 is any that is free."""

    name = "address:port"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address, or click's own error."""
        from bluestone.declaration.fault import Fault
        from bluestone.declaration.texts.addresses import listen

        try:
            free = value.endswith(":0")
            listen(value[:-1] + "1" if free else value)
        except Fault as fault:
            self.fail(f"{fault.what}: {fault.mend}", param, ctx)
        return value


@click.command()
@click.option("--listen", type=ListenType(), help="Where it listens. Without: as declared, or 127.0.0.1:8700.")
@file_option
def web(listen: str | None, file: Path) -> None:
    """Serve the logs to browsers and programs, until SIGTERM or Ctrl-C.

    Who may look is said by `bluestone users`. Without users it listens on the loopback alone, and prints an address
    that lets you in once. Off the loopback it speaks TLS.
    """
    from bluestone.web.serve import serve

    def say(text: str) -> None:
        click.echo(text, err=True)

    serve(Project.open(file), listen, say, terminal=sys.stderr.isatty())
