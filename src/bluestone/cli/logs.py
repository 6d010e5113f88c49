"""`logs`: lines of servers, found, counted, compared, kept and carried elsewhere."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec.structs import replace

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import DurationType, file_option, json_option, table
from bluestone.model.record import Record

if TYPE_CHECKING:
    from bluestone.app.logs.logs import Reading

LONGEST_BAR = 50
ELSEWHERE = {
    "audit": "audit",
    "last-words": "audit",
    "allow": "sources",
    "forbid": "sources",
    "reads": "reads",
    "sinks": "sinks",
}
"""Verb -> the module of this package that has it."""


class Logs(click.Group):
    """Its verbs by their names; anything else is what `bluestone logs` shows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Have `show` be meant where no verb is named."""
        if not args or (args[0] not in ctx.help_option_names and self.get_command(ctx, args[0]) is None):
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of its verbs."""
        return sorted({*super().list_commands(ctx), *ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A verb by its name."""
        if cmd_name in ELSEWHERE:
            module = importlib.import_module(f"bluestone.cli.{ELSEWHERE[cmd_name]}")
            command: click.Command = getattr(module, cmd_name.replace("-", "_"))
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=Logs, invoke_without_command=False)
def logs() -> None:
    """Show the log lines of servers, also of those that are gone."""


@logs.command()
@click.argument("target", required=False, metavar="[GROUP|SERVER]")
@click.argument("query", required=False, metavar="[QUERY]")
@click.option(
    "-q", "--query", "query_option", metavar="QUERY", help='As the argument: error AND status:>=500, "a phrase"'
)
@click.option("--since", help='How far back: "15m ago", "2h", "today", or a date.')
@click.option("--until", help="Up to when, in the same words.")
@click.option("--grep", help="Only lines with this text (no matter the case), or matching /this regex/.")
@click.option("--severity", metavar="LEVEL", help="Only lines as severe as this or more: error, warning, info, ...")
@click.option("-n", "--number", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="At most.")
@click.option("-C", "--context", type=click.IntRange(0, 1000), help="As many lines of its server around each line.")
@click.option("-F", "--follow", is_flag=True, help="Go on with lines as they arrive.")
@click.option("--histogram", is_flag=True, help="How many lines there are over time, in the place of the lines.")
@click.option("--step", type=DurationType(), help="How wide a histogram's bars are.")
@click.option("--top", metavar="FIELD", help="The values of a field that most lines have, in the place of the lines.")
@click.option(
    "--diff-generation",
    metavar="[OLD:NEW]",
    is_flag=False,
    flag_value="",
    help="What a group's newest generation says that the one before did not, and how much of each is errors.",
)
@file_option
@json_option
def show(
    target: str | None,
    query: str | None,
    query_option: str | None,
    since: str | None,
    until: str | None,
    grep: str | None,
    severity: str | None,
    number: int,
    context: int | None,
    follow: bool,
    histogram: bool,
    step: timedelta | None,
    top: str | None,
    diff_generation: str | None,
    file: Path,
    as_json: bool,
) -> None:
    """Show the log lines of servers, also of those that are gone.

    QUERY is words, "phrases" and field:value, joined by AND, OR and NOT: see docs/reference/query-language.md. Further
    verbs: check, export, import, hold, release.
    """
    from bluestone.app.logs.logs import Asked, generations_asked, reading

    words = " ".join(text for text in (query, query_option) if text)
    asked = Asked(target, words, since, until, grep, severity, number)
    with reading(Project.open(file), asked) as found:
        if histogram:
            _show_histogram(found, step, as_json=as_json)
        elif top:
            _show_top(found, top, min(number, 1000) if number != 1000 else 10, as_json=as_json)
        elif diff_generation is not None:
            _show_generations(found, generations_asked(diff_generation), as_json=as_json)
        elif context is not None:
            _show_context(found, context, as_json=as_json)
        else:
            shown = _show_lines(found.lines(follow=follow), as_json=as_json)
            if not shown and not as_json:
                narrowed = target or words or since or until or grep or severity
                click.echo("no line is like that" if narrowed else "no server has sent a line yet", err=True)
        if found.damaged:
            count = len(found.damaged)
            click.echo(f"{count} damaged files of the log store are not shown: see `bluestone logs check`", err=True)


@logs.command()
@file_option
@json_option
def check(file: Path, as_json: bool) -> int:
    """Read all that is stored, and verify every checksum. Exits 2 if something is damaged."""
    from bluestone.app.logs.logkeeping import check as look

    report = look(Project.open(file))
    if as_json:
        click.echo(options.as_json(report))
    else:
        for damage in report.damages:
            lines = f" ({damage.lines} lines)" if damage.lines else ""
            click.echo(f"damaged: {damage.file}{lines}: {damage.what}")
        said = (
            "all is whole" if not report.damages else f"{len(report.damages)} files are damaged; the others are served"
        )
        click.echo(f"{report.lines} lines in {report.files} files: {said}")
    return 2 if report.damages else 0


@logs.command()
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.argument("target", required=False, metavar="[GROUP|SERVER]")
@click.argument("query", required=False, metavar="[QUERY]")
@click.option("--since", help="From when on.")
@click.option("--until", help="Up to when.")
@file_option
def export(
    output: Path, target: str | None, query: str | None, since: str | None, until: str | None, file: Path
) -> None:
    """Write lines to a file (`-`: standard output), with who wrote them; compressed if its name ends in .zst."""
    from bluestone.app.logs.logkeeping import export as write
    from bluestone.app.logs.logs import Asked

    count = write(Project.open(file), Asked(target, query or "", since, until), output)
    click.echo(f"{count} lines written", err=True)


@logs.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@file_option
def import_(source: Path, file: Path) -> None:
    """Take in lines that `bluestone logs export` wrote, each once; those that are there already stay as they are."""
    from bluestone.app.logs.logkeeping import take_in

    new, known = take_in(Project.open(file), source)
    click.echo(f"{new} lines taken in, {known} were there already")


@logs.command()
@click.argument("target", required=False, metavar="[GROUP|SERVER]")
@click.option("--reason", help="Why, for whoever asks later.")
@file_option
@json_option
def hold(target: str | None, reason: str | None, file: Path, as_json: bool) -> None:
    """Keep the lines of a group or server whatever the rules say (a legal hold), or show what is held."""
    from bluestone.app.logs import logkeeping

    project = Project.open(file)
    if target:
        if not reason:
            raise click.UsageError("say why: --reason TEXT")
        logkeeping.hold(project, target, reason)
    held = logkeeping.held(project)
    if as_json:
        click.echo(options.as_json(held))
    elif held:
        click.echo(
            table(("HELD", "SINCE (UTC)", "WHY"), [(h.target, f"{h.since:%Y-%m-%d %H:%M}", h.reason) for h in held])
        )
    else:
        click.echo("nothing is held")


@logs.command()
@click.argument("target", metavar="GROUP|SERVER")
@file_option
def release(target: str, file: Path) -> None:
    """Have the rules again for lines that were held."""
    from bluestone.app.logs import logkeeping

    logkeeping.release(Project.open(file), target)


def _show_lines(records: Iterable[Record], *, as_json: bool) -> bool:
    shown = False
    for record in records:
        shown = True
        click.echo(_json_line(record) if as_json else _line(record))
    return shown


def _show_context(found: Reading, count: int, *, as_json: bool) -> None:
    for place, stretch in enumerate(found.with_context(count)):
        if place and not as_json:
            click.echo("--")
        for record, hit in stretch:
            click.echo(_json_line(record, found=hit) if as_json else f"{'>' if hit else ' '} {_line(record)}")


def _show_histogram(found: Reading, step: timedelta | None, *, as_json: bool) -> None:
    counted = found.histogram(step)
    if as_json:
        click.echo(options.as_json(counted))
        return
    most = max((bar.lines for bar in counted.bars), default=1)
    rows = [
        (_when(bar.at, counted.step), bar.lines, bar.errors or "", "#" * round(bar.lines / most * LONGEST_BAR))
        for bar in counted.bars
    ]
    click.echo(table(("FROM", "LINES", "ERRORS", ""), rows))


def _show_top(found: Reading, field: str, count: int, *, as_json: bool) -> None:
    top = found.top(field, count)
    if as_json:
        click.echo(options.as_json(top))
        return
    click.echo(table(("LINES", field.upper()), [(lines, options.printable(value)) for value, lines in top.values]))
    click.echo(f"{top.lines} lines have {field}, in {top.distinct} values")


def _show_generations(found: Reading, asked: tuple[int | None, int | None], *, as_json: bool) -> None:
    old, new, before, after, changes = found.generations(*asked)
    if as_json:
        sides = {"old": (old, before), "new": (new, after)}
        data: dict[str, Any] = {
            side: {"generation": number, "lines": profile.lines, "errors": profile.errors}
            for side, (number, profile) in sides.items()
        }
        click.echo(options.as_json({**data, "patterns": msgspec.to_builtins(changes)}))
        return
    rows = [
        (number, profile.lines, profile.errors, f"{profile.error_rate:.2%}")
        for number, profile in ((old, before), (new, after))
    ]
    click.echo(table(("GENERATION", "LINES", "ERRORS", "RATE"), rows))
    kinds = (("only new", changes.appeared), ("more often", changes.grew), ("no longer", changes.vanished))
    shown = [
        (kind, change.severity, change.old, change.new, options.printable(change.pattern)[:120])
        for kind, each in kinds
        for change in each[:20]
    ]
    click.echo(table(("PATTERN IS", "SEVERITY", "OLD", "NEW", ""), shown) if shown else "the same patterns in both")


def _when(at: datetime, step: timedelta) -> str:
    local = at.astimezone()
    return f"{local:%Y-%m-%d}" if step >= timedelta(days=1) else f"{local:%Y-%m-%d %H:%M:%S}"


def _json_line(record: Record, **more: bool) -> str:
    """The record, with the fields of the journal if the line came with any."""
    data = msgspec.to_builtins(replace(record, original=b""))
    del data["original"]
    try:
        data["fields"] = msgspec.json.decode(record.original)
    except msgspec.DecodeError:
        data["fields"] = {}
    return options.as_json_line(data | more)


def _line(record: Record) -> str:
    when = record.at.astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]
    return f"{when}  {record.identity.server}  {record.unit}: {record.message}"
