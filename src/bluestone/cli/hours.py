"""`keep`, `hours`: exceptions to a group's hours, and what the hours come to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option

if TYPE_CHECKING:
    from bluestone.app.hours.keep import GroupHours
    from bluestone.model.hours import Span

MARKS = " ▁▂▃▄▅▆▇█"
"""By how many of its servers are wanted: none to all."""

HOURS_OF_A_DAY = 24


@click.group()
def keep() -> None:
    """Keep servers up, or down, until a time; then their hours hold again."""


def _exception(verb: Callable[..., None]) -> click.Command:
    """A verb of `keep` that makes an exception: of which groups, until when, and why."""
    verb = file_option(verb)
    verb = click.option("--because", default="", help="What others should know.")(verb)
    verb = click.argument("until", metavar="until TIME", nargs=2)(verb)
    return keep.command()(click.argument("groups", nargs=-1)(verb))


@_exception
def up(groups: tuple[str, ...], until: tuple[str, str], because: str, file: Path) -> None:
    """Keep GROUPS (all, if none is named) up until TIME: 22:00, 2026-12-24T18:00, or 90m."""
    _keep(groups, until, because, file, up=True)


@_exception
def down(groups: tuple[str, ...], until: tuple[str, str], because: str, file: Path) -> None:
    """Keep GROUPS (all, if none is named) down until TIME, but for the `minimum` that never sleeps."""
    _keep(groups, until, because, file, up=False)


@keep.command(name="hours")
@click.argument("groups", nargs=-1)
@file_option
def _hours(groups: tuple[str, ...], file: Path) -> None:
    """End exceptions of GROUPS (all, if none is named) before their time: their hours hold again."""
    from bluestone.app.hours import keep as use_case
    from bluestone.daemon import presence

    project = Project.open(file)
    ended = use_case.release(project, groups)
    presence.wake(project)
    click.echo("ended: the hours hold again" if ended else "there was no exception")


@click.group(invoke_without_command=True)
@click.pass_context
def hours(context: click.Context) -> None:
    """When servers are up: `hours show`, `hours list`."""
    if context.invoked_subcommand is None:
        context.invoke(show)


@hours.command()
@click.argument("groups", nargs=-1)
@click.option("--next", "span", default="7d", metavar="TIME", help="How far ahead: 14d, 36h.")
@file_option
@json_option
def show(
    groups: tuple[str, ...] = (), span: str = "7d", file: Path = Path("bluestone.toml"), as_json: bool = False
) -> None:
    """Show when GROUPS (all, if none is named) are up: a line for each day, and a picture of it."""
    from bluestone.app.hours import keep as use_case

    found = use_case.hours(Project.open(file), groups, _span(span))
    if as_json:
        click.echo(options.as_json([_data(each) for each in found]))
        return
    if not found:
        click.echo("no group has hours: all are always up")
    for each in found:
        click.echo(_text(each))


@hours.command(name="list")
@click.option("-n", "newest", default=30, type=click.IntRange(1, 10_000), help="How many.")
@file_option
@json_option
def list_(newest: int, file: Path, as_json: bool) -> None:
    """List what hours and exceptions to them did, the newest first: who, when, and why."""
    from bluestone.app.hours import keep as use_case

    found = use_case.history(Project.open(file), newest)
    if as_json:
        click.echo(options.as_json([{"at": at.isoformat(), "group": group, "what": what} for at, group, what in found]))
        return
    for at, group, what in found:
        click.echo(f"{at:%a %d %b %H:%M:%S}  {group or 'all':<16} {what}")


def _keep(groups: tuple[str, ...], until: tuple[str, str], because: str, file: Path, *, up: bool) -> None:
    from bluestone.app.hours import keep as use_case
    from bluestone.daemon import presence

    if until[0] != "until":
        raise click.UsageError('write "until" and a time after the groups: keep up web until 22:00')
    project = Project.open(file)
    for override in use_case.keep(project, groups, up=up, until=until[1], because=because):
        click.echo(f"{override.group or 'all groups'}: {override}")
    presence.wake(project)
    if presence.find(project) is None:
        click.echo("no daemon leads the project: `bluestone serve` keeps hours, or `bluestone up` acts on them once")


def _span(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in "dh" or not unit:
        raise click.BadParameter("write a number of days or hours, such as 14d")
    found = timedelta(days=int(number)) if unit == "d" else timedelta(hours=int(number))
    if not timedelta(0) < found <= timedelta(days=366):
        raise click.BadParameter("from 1h to 366d")
    return found


def _data(each: GroupHours) -> dict[str, object]:
    return {
        "group": each.group.name,
        "count": each.wanted.count,
        "why": each.wanted.why,
        "lead_s": round(each.lead.seconds, 1),
        "lead_why": each.lead.why,
        "doubts": sorted({*each.doubts, *each.wanted.doubts}),
        "override": str(each.override) if each.override else None,
        "spans": [{"begin": s.begin.isoformat(), "end": s.end.isoformat(), "count": s.count} for s in each.spans],
    }


def _text(each: GroupHours) -> str:
    timed, count = each.group.hours, each.group.count
    assert timed is not None
    zone = ZoneInfo(timed.zone)
    lines = [f"{each.group.name}: {each.wanted.count} of {count} servers are wanted now: {each.wanted.why}"]
    lines += [f"  in doubt: {doubt}" for doubt in sorted({*each.doubts, *each.wanted.doubts})]
    if not timed.never_start_alone:
        lines.append(f"  begun {each.lead.seconds:.0f} s before an opening: {each.lead.why}")
    lines.append(f"  {'':<11}0     6     12    18    24   on the clock of {timed.zone}")
    days: dict[str, list[Span]] = {}
    for span in each.spans:
        day = span.begin.astimezone(zone).date()
        while day <= (span.end - timedelta(microseconds=1)).astimezone(zone).date():
            days.setdefault(f"{day:%a %d %b}", []).append(span)
            day += timedelta(days=1)
    first = each.spans[0].begin.astimezone(zone).date() if each.spans else None
    for number, (name, spans) in enumerate(days.items()):
        assert first is not None
        begin = datetime.combine(first + timedelta(days=number), datetime.min.time(), zone)
        lines.append(f"  {name:<10} {_picture(spans, begin, count)} {_words(spans, begin, zone)}".rstrip())
    return "\n".join(lines) + "\n"


def _picture(spans: list[Span], begin: datetime, count: int) -> str:
    """A day, an hour to a mark: the most that are wanted in it."""
    edges = [(begin + timedelta(hours=n)).astimezone(UTC) for n in range(HOURS_OF_A_DAY + 1)]
    marks = []
    for since, until in pairwise(edges):
        most = max((span.count for span in spans if span.begin < until and span.end > since), default=0)
        marks.append(MARKS[-(-most * (len(MARKS) - 1) // max(count, 1))])
    return "".join(marks)


def _words(spans: list[Span], begin: datetime, zone: ZoneInfo) -> str:
    """The stretches of a day in which servers are wanted."""
    end = begin + timedelta(days=1)
    words = []
    for span in spans:
        since, until = max(span.begin.astimezone(zone), begin), min(span.end.astimezone(zone), end)
        if span.count and since < until:
            last = "24:00" if until == end else f"{until:%H:%M}"
            words.append(f"{since:%H:%M}-{last} {span.count}")
    return ", ".join(words) or "closed"
