"""`status`, `servers`, `events`, `logs`: what is, and what was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import msgspec

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, table
from bluestone.model.ids import short
from bluestone.model.record import Record


@click.command()
@file_option
@json_option
def status(file: Path, as_json: bool) -> None:
    """Show the groups: how many servers are declared, exist and serve."""
    from bluestone.app.status import status as observe

    found = observe(Project.open(file))
    if as_json:
        click.echo(options.as_json(found))
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
    running = {True: "runs", False: "does not run"}
    click.echo(f"balancer {running[found.balancer_running]}, log receiver {running[found.receiver_running]}")
    for gap in found.gaps:
        click.echo(f"cannot see: {gap}")


@click.command()
@file_option
@json_option
def servers(file: Path, as_json: bool) -> None:
    """List the servers."""
    from bluestone.app.status import status as observe

    found = observe(Project.open(file))
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
    for gap in found.gaps:
        click.echo(f"cannot see: {gap}")


@click.command()
@click.option("-n", "--number", type=click.IntRange(1, 1_000_000), default=50, show_default=True)
@file_option
@json_option
def events(number: int, file: Path, as_json: bool) -> None:
    """Show the newest entries of bluestone's own journal."""
    for event in Project.open(file).journal.events(limit=number):
        if as_json:
            click.echo(options.as_json_line(event))
        else:
            name = event.server or event.group
            when = f"{event.at:%Y-%m-%d %H:%M:%S}"
            click.echo(f"{event.sequence:>6}  {when}  {event.kind:<17} {name:<24} {event.message}")


@click.command()
@click.argument("target", required=False, metavar="[GROUP|SERVER]")
@click.option("--since", help='How far back: "15m ago", "2h", "today", or a date.')
@click.option("--until", help="Up to when, in the same words.")
@click.option("--grep", help="Only lines with this text (no matter the case), or matching /this regex/.")
@click.option("-n", "--number", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="At most.")
@click.option("-F", "--follow", is_flag=True, help="Go on with lines as they arrive.")
@file_option
@json_option
def logs(
    target: str | None,
    since: str | None,
    until: str | None,
    grep: str | None,
    number: int,
    follow: bool,
    file: Path,
    as_json: bool,
) -> None:
    """Show the log lines of servers, also of those that are gone."""
    from bluestone.app.logs import asked, read_lines

    query = asked(since, until, grep, number)
    for record in read_lines(Project.open(file), target, query, follow=follow):
        click.echo(_json_line(record) if as_json else _line(record))


def _json_line(record: Record) -> str:
    """The record, with the fields of the journal if the line came with any."""
    data = msgspec.to_builtins(replace(record, original=b""))
    del data["original"]
    try:
        data["fields"] = msgspec.json.decode(record.original)
    except msgspec.DecodeError:
        data["fields"] = {}
    return options.as_json_line(data)


def _line(record: Record) -> str:
    when = record.at.astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]
    return f"{when}  {record.identity.server}  {record.unit}: {record.message}"
