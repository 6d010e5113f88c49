"""`serve`: keep the servers as they were rolled out, day and night."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from bluestone.app.project import Project
from bluestone.cli.options import DurationType, file_option


class LoopbackType(click.ParamType[str]):
    """A loopback address with its port."""

    name = "address:port"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address, or click's own error."""
        from bluestone.declaration.fault import Fault
        from bluestone.declaration.texts.addresses import loopback

        try:
            return loopback(value)
        except Fault as fault:
            self.fail(f"{fault.what}: {fault.mend}", param, ctx)


@click.command()
@file_option
@click.option("--every", type=DurationType(), help="The longest time between two looks. Without: as declared.")
@click.option(
    "--listen", type=LoopbackType(), help="Answer /healthz, /readyz and /metrics there. Without: as declared."
)
@click.option("--print-unit", is_flag=True, help="Print a systemd unit that runs this, and do nothing else.")
@click.option("--install", is_flag=True, help="Write that unit where systemd finds it, and do nothing else.")
def serve(file: Path, every: timedelta | None, listen: str | None, print_unit: bool, install: bool) -> int:
    """Keep the servers as they were last rolled out, until SIGTERM.

    What dies is replaced, what was interrupted is gone on with. A declaration that was changed is applied by `up`
    alone, which asks the daemon while one runs; so do `rollback` and `down`. It tells what happens in lines of JSON on
    standard error.
    """
    if print_unit or install:
        _unit(Project.open(file), every, listen, install=install)
        return 0
    from bluestone.daemon.log import Log
    from bluestone.daemon.run import Options
    from bluestone.daemon.run import serve as run

    project, wrong = Project.open_as_it_was(file)
    log = Log(project.name)
    if wrong:
        log.say("error", "declaration.refused", f"it is led as when {file} was last right: {wrong}")
    return run(project, Options(every, listen), log)


def _unit(project: Project, every: timedelta | None, listen: str | None, *, install: bool) -> None:
    from bluestone.daemon import systemd

    options: tuple[str, ...] = (f"--every={every.total_seconds():g}s",) if every else ()
    options += (f"--listen={listen}",) if listen else ()
    if not install:
        click.echo(systemd.unit(project, options), nl=False)
        return
    path, read = systemd.install(project, options)
    click.echo(f"wrote {path}")
    manage = "systemctl" if path.is_relative_to("/etc") else "systemctl --user"
    reload = "" if read else f"{manage} daemon-reload && "
    click.echo(f"start it, now and at every boot: {reload}{manage} enable --now {path.name}")
    if manage != "systemctl":
        click.echo("and have it run while you are not logged in: loginctl enable-linger")
