"""`logs audit` and `logs last-words`: whether all lines of a server are here, and what it said last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table

if TYPE_CHECKING:
    from bluestone.app.logs.audit import Audited
    from bluestone.logs.audit import Account

SHOWN = 5
"""Gaps that are named one by one."""


@click.command()
@click.argument("target", required=False, metavar="[GROUP|SERVER]")
@file_option
@json_option
def audit(target: str | None, file: Path, as_json: bool) -> int:
    """Show whether all lines of each server are here, by the numbers that its shipper gave them.

    Exits 2 if lines are missing, or if a server ended without a goodbye, so that nobody knows how many it wrote.
    """
    from bluestone.app.logs.audit import audit as look
    from bluestone.app.logs.audit import check_seals
    from bluestone.app.project import Project

    project = Project.open(file)
    found = list(look(project, target))
    seals, head = check_seals(project)
    complete = all(each.complete for each in found)
    if as_json:
        servers = [{**msgspec.to_builtins(each), "complete": each.complete} for each in found]
        click.echo(options.as_json({"complete": complete, "servers": servers, "seals": seals, "head": head}))
    elif not found:
        click.echo("no server has sent a line yet")
    else:
        click.echo(printable(table(("SERVER", "LINES", "GAPS", "ITS END"), [_row(each) for each in found])))
        click.echo(
            f"last words: {seals} sealed, whole; the last seal is {head[:12]}" if seals else "last words: none yet"
        )
    return 0 if complete else 2


@click.command("last-words")
@click.argument("server")
@file_option
@json_option
def last_words(server: str, file: Path, as_json: bool) -> None:
    """Show the last lines of a server that is gone, as they were sealed at its end."""
    from bluestone.app.logs.audit import last_words as look
    from bluestone.app.project import Project

    seal = look(Project.open(file), server)
    if as_json:
        click.echo(options.as_json(msgspec.to_builtins(seal)))
        return
    for said in seal.said:
        when = said.at.astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]
        click.echo(printable(f"{when}  {said.unit}: {said.message}"))
    end = "it said goodbye" if seal.goodbye is not None else "it did not say goodbye: lines after these may be missing"
    click.echo(f"{seal.server}: {seal.lines} lines, {end}", err=True)
    click.echo(f"seal {seal.number} of {seal.sealed.astimezone():%Y-%m-%d %H:%M:%S}: {seal.digest}", err=True)


def _row(each: Audited) -> tuple[str, str, str, str]:
    found = each.account
    if each.removed:
        kept = f"{found.found} of {found.last} kept"
        return each.identity.server, kept, "none: the rules removed the others", _end(each)
    if not found.numbered:
        return each.identity.server, f"{found.unnumbered}, not numbered", "-", "-"
    lines = f"{found.found} of {found.last}" + (f", {found.twice} twice" if found.twice else "")
    return each.identity.server, lines, _gaps(found), _end(each)


def _gaps(found: Account) -> str:
    if not found.gaps:
        return "none"
    named = [f"{gap.first}-{gap.last}" if gap.count > 1 else f"{gap.first}" for gap in found.gaps[:SHOWN]]
    named += [f"and {len(found.gaps) - SHOWN} more"] if len(found.gaps) > SHOWN else []
    dropped = sum(gap.dropped for gap in found.gaps)
    return ", ".join(named) + (f" ({dropped} dropped by its own journal)" if dropped else "")


def _end(each: Audited) -> str:
    if not each.ended:
        return "it runs"
    return (
        "said goodbye"
        if each.account.goodbye is not None or each.removed
        else "no goodbye: its last lines may be missing"
    )
