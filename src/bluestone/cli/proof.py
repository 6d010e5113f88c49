"""`proof`: what was exposed, replaced and verified, signed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table
from bluestone.model.ids import short

if TYPE_CHECKING:
    from bluestone.app.patch.proofs import Vouched
    from bluestone.patch.proof import Proof, Times


@click.group(invoke_without_command=True)
@click.pass_context
def proof(context: click.Context) -> int:
    """Show and check proofs of patches. Without a verb: list them."""
    return 0 if context.invoked_subcommand else int(context.invoke(list_all))


@proof.command("list")
@file_option
@json_option
def list_all(file: Path, as_json: bool) -> int:
    """List the project's proofs. Exits 1 if one does not hold."""
    from bluestone.app.patch.proofs import Vouched, list_proofs
    from bluestone.app.project import Project

    found = list_proofs(Project.open(file))
    if as_json:
        told = [
            {"file": str(each.file), "ok": True, "proof": msgspec.to_builtins(each.proof)}
            if isinstance(each, Vouched)
            else {"file": str(each.file), "ok": False, "why": each.why}
            for each in found
        ]
        click.echo(options.as_json(told))
    elif not found:
        click.echo("no proofs yet: `bluestone patch` writes one when no server is exposed any more")
    else:
        rows = [_row(each.proof) if isinstance(each, Vouched) else ("-", "WRONG", "-", "-", each.why) for each in found]
        click.echo(printable(table(("patch", "closed", "servers", "longest", "fixes"), rows)))
    return 0 if all(isinstance(each, Vouched) for each in found) else 1


@proof.command()
@click.argument("patch", required=False)
@file_option
@json_option
def show(patch: str | None, file: Path, as_json: bool) -> None:
    """Show a proof that holds: of PATCH, or the newest."""
    from bluestone.app.patch.proofs import find_proof, verify_proof
    from bluestone.app.project import Project

    place = find_proof(Project.open(file), patch)
    _tell(verify_proof(file, place, ()), as_json=as_json)


@proof.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-f",
    "--declaration",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("bluestone.toml"),
    show_default=True,
    help="The declaration whose project's key is trusted, where no other is.",
)
@json_option
@click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Trust this key, and only those: a file with what `bluestone key` prints. Can be given several times.",
)
def verify(file: Path, declaration: Path, as_json: bool, keys: tuple[Path, ...]) -> None:
    """Check a proof in FILE: who signed it, every byte of it, and that it agrees with itself. Exits 1 if not."""
    from bluestone.app.patch.proofs import verify_proof

    _tell(verify_proof(declaration, file, keys), as_json=as_json)


def _tell(found: Vouched, *, as_json: bool) -> None:
    if as_json:
        told = {"file": str(found.file), "ok": True, "key": found.key.id, "proof": msgspec.to_builtins(found.proof)}
        click.echo(options.as_json(told))
    else:
        click.echo(printable("\n".join([*_text(found.proof), f"signed     by {found.key.name} ({found.key.id[:16]})"])))


def _text(said: Proof) -> Iterator[str]:
    yield f"patch      {said.patch} of {said.project}: {', '.join(said.groups)}; by {said.by}"
    for fix in said.ended:
        since = f"available since {_at(fix.since)}" if fix.since else "available since nobody knows when"
        due = ""
        if fix.due:
            due = f"; due {_at(fix.due)}, {'kept' if said.closed <= fix.due else 'MISSED'}"
        yield f"fixed      {fix.fix} (was {', '.join(fix.installed)}); {since}{due}"
        if names := [name for name in fix.advisories if name.startswith("CVE-")]:
            yield f"           {', '.join(names)}"
    for feed in said.feeds:
        trouble = f"; {feed.trouble}" if feed.trouble else ""
        yield f"known by   {feed.name}, {_at(feed.date)}, sha256 {feed.digest[:16]}{trouble}"
    before, after = (", ".join(short(each.image) for each in side) for side in (said.before, said.after))
    yield f"images     {before} -> {after}"
    for server in said.servers:
        when = f"switched {_at(server.switched)}, gone {_at(server.gone)}"
        yield f"server     {server.before} -> {server.after or 'none'}, {when}"
    query = said.query
    yield f"asked      {_at(query.at)}: of {query.servers} servers {len(query.exposed) or 'none'} exposed"
    unreported = ", ".join(query.unreported) or "none"
    yield f"unreported {unreported}"
    yield f"from verdict to gone: {_times(said.from_verdict)}"
    yield f"from fix to gone:     {_times(said.from_fix)}"


def _row(said: Proof) -> tuple[object, ...]:
    fixes = [fix.fix.partition(":")[2] for fix in said.ended]
    named = ", ".join(fixes[:3]) + (f" and {len(fixes) - 3} more" if len(fixes) > 3 else "")
    longest = f"{said.from_verdict.max:.1f} s" if said.from_verdict else "-"
    return said.patch, _at(said.closed), len(said.servers), longest, named


def _times(found: Times | None) -> str:
    if found is None:
        return "not known"
    return f"p50 {_took(found.p50)}, p95 {_took(found.p95)}, max {_took(found.max)}"


def _took(seconds: float) -> str:
    """To the tenth of a second where these matter, and in days where nobody would reckon them."""
    if seconds < 600:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // (24 * 60)} days {minutes // 60 % 24} h"


def _at(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
