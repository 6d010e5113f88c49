"""`status`, `servers`, `events`: what is, and what was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, table
from bluestone.fleet.controller.journal import Journal
from bluestone.model.ids import short
from bluestone.model.problem import Problem

if TYPE_CHECKING:
    from bluestone.daemon.presence import Leading


@click.command()
@file_option
@json_option
def status(file: Path, as_json: bool) -> None:
    """Show the groups: how many servers are declared, exist and serve."""
    project = Project.open(file)
    wiring.look_ahead(project, beside=True)
    from bluestone.app.fleet.status import status as observe
    from bluestone.daemon import presence

    found, daemon, silent = observe(project), None, ""
    try:
        daemon = presence.find(project)
    except Problem as problem:
        silent = problem.what
    if as_json:
        click.echo(options.as_json(msgspec.to_builtins(found) | {"daemon": daemon, "daemon_trouble": silent}))
        return
    rows = [
        (
            g.name,
            f"{g.serving}/{g.declared}",
            g.total,
            g.generation or "-",
            g.strategy,
            g.rollout,
            " ".join(g.ports),
        )
        for g in found.groups
    ]
    click.echo(table(("GROUP", "SERVE", "EXIST", "GENERATION", "STRATEGY", "ROLLOUT", "LISTENS"), rows))
    for group in found.groups:
        if group.note:
            click.echo(f"{group.name}: stopped: {group.note}")
        if group.hours:
            click.echo(f"{group.name}: hours: {group.hours}")
        if group.held:
            click.echo(f"{group.name}: held: {group.held}")
    running = {True: "runs", False: "does not run"}
    click.echo(f"balancer {running[found.balancer_running]}, log receiver {running[found.receiver_running]}")
    click.echo(silent or _of_daemon(daemon))
    for stray in found.strays:
        click.echo(f"nobody declared {stray.name}: {stray.what}; see `bluestone drift`")
    for gap in found.gaps:
        click.echo(f"cannot see: {gap}")


def _of_daemon(daemon: Leading | None) -> str:
    """Who keeps the servers as they are, in a line."""
    if daemon is None:
        return "no daemon leads the project: servers that fail stay so until `bluestone up`, or `bluestone serve`"
    seen = f"last look {daemon.last_tick:%H:%M:%S} UTC" if daemon.last_tick else "has not looked yet"
    if not daemon.epoch:
        return f"a daemon stands by (process {daemon.pid}), as another controller leads: see `bluestone state show`"
    doing = f"; works on {daemon.works_on}" if daemon.works_on else ""
    trouble = f"; in trouble: {daemon.trouble}" if daemon.trouble else ""
    since = f"process {daemon.pid}, since {daemon.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"a daemon leads the project: {since}, {seen}{doing}{trouble}"


@click.command()
@file_option
@json_option
def servers(file: Path, as_json: bool) -> None:
    """List the servers."""
    project = Project.open(file)
    wiring.look_ahead(project, beside=True)
    from bluestone.app.fleet.status import status as observe

    found = observe(project)
    if as_json:
        click.echo(options.as_json(found.servers))
        return
    rows = [
        (
            s.name,
            s.stance,
            s.generation,
            short(s.image),
            s.address or "-",
            f"{s.created_at:%Y-%m-%d %H:%M:%S}",
        )
        for s in found.servers
    ]
    click.echo(table(("SERVER", "IS", "GENERATION", "IMAGE", "ADDRESS", "CREATED (UTC)"), rows))
    for stray in found.strays:
        click.echo(f"nobody declared {stray.name}: {stray.what}; see `bluestone drift`")
    for gap in found.gaps:
        click.echo(f"cannot see: {gap}")


@click.command()
@click.option("-n", "--number", type=click.IntRange(1, 1_000_000), default=50, show_default=True)
@click.option("--verify", is_flag=True, help="Say whether every entry is as it was written, or which is the first not.")
@click.option("--head", "known", help="With --verify: a head that it printed earlier, which must still be in there.")
@file_option
@json_option
def events(number: int, verify: bool, known: str | None, file: Path, as_json: bool) -> int:
    """Show the newest entries of bluestone's own journal, or check that it is whole."""
    journal = Project.open(file).journal
    if known and not verify:
        raise click.UsageError("--head goes with --verify")
    if verify:
        return _verify(journal, known, as_json=as_json)
    for event in journal.events(limit=number):
        if as_json:
            click.echo(options.as_json_line(event))
        else:
            name = event.server or event.group
            when = f"{event.at:%Y-%m-%d %H:%M:%S}"
            click.echo(f"{event.sequence:>6}  {when}  {event.kind:<17} {name:<24} {event.message}")
    return 0


def _verify(journal: Journal, known: str | None, *, as_json: bool) -> int:
    from bluestone.fleet.controller.chain import Head

    broken = journal.verify(Head.parse(known) if known else None)
    head = journal.head()
    if as_json:
        first = {"sequence": broken.sequence, "why": broken.why} if broken else None
        click.echo(options.as_json({"whole": broken is None, "first_broken": first, "head": str(head)}))
    elif broken is None:
        click.echo(f"whole: {head.sequence} entries\nhead: {head}")
    else:
        click.echo(f"not whole: entry {broken.sequence}: {broken.why}")
    return 0 if broken is None else 1
