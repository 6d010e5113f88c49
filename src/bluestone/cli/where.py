"""`where`: which servers run a package, and which ever did."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table
from bluestone.model.ids import short

if TYPE_CHECKING:
    from bluestone.model.lifetime import Lifetime
    from bluestone.patch.inventory.answer import Answer, Finding, Silent

EXIT = {"nowhere": 0, "found": 2, "unknown": 3}
"""What the verb exits with, by the answer's verdict."""

SHOWN = 20
"""Images of one kind that are named one by one."""


@click.command()
@click.argument("query")
@click.option("--ever", is_flag=True, help="Servers that are gone as well.")
@click.option("--at", metavar="DATE", help='Servers that existed then: "2 days ago", "2026-11-23 08:00".')
@file_option
@json_option
def where(query: str, ever: bool, at: str | None, file: Path, as_json: bool) -> int:
    """Show which servers run a package, of all projects on this machine.

    QUERY is a name (of a package of Debian, binary or source, or of a language), a glob, or a package URL, and
    versions: 'maven:org.apache.struts/struts2-core <2.3.32', 'openssl <3.0.17-1~deb12u3', 'npm:@scope/*',
    'pkg:pypi/jinja2@3.1.2', 'source:linux'. Versions are compared by the rules of the ecosystem.

    Exits 2 if a server runs it (or did), 0 if none does, and 3 if that cannot be told of all.
    """
    from bluestone.app.patch.where import where as find
    from bluestone.app.project import Project

    if ever and at:
        raise click.UsageError("--ever and --at exclude each other")
    answer = find(Project.open(file), query, at=at, ever=ever, progress=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(options.as_json({"verdict": answer.verdict, **msgspec.to_builtins(answer)}))
    else:
        click.echo(printable(shown(answer, past=ever or at is not None)))
    return EXIT[answer.verdict]


def shown(answer: Answer, *, past: bool) -> str:
    """An answer as text: image by image what it holds and who runs it, then what cannot be told."""
    servers: dict[str, list[Lifetime]] = defaultdict(list)
    for life in answer.servers:
        servers[life.image].append(life)
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in answer.findings:
        for image in finding.images:
            findings[image].append(finding)
    blocks = [_block(image, findings[image], lives) for image, lives in servers.items()]
    do = "run or ran" if past else "run"
    lines = [_total(len(answer.servers), do)]
    if answer.unused:
        images = ", ".join(short(image) for image in answer.unused[:SHOWN])
        more = f" and {len(answer.unused) - SHOWN} more" if len(answer.unused) > SHOWN else ""
        lines.append(f"in images that none of these servers {'ran' if past else 'runs'}: {images}{more}")
    lines += _untold(answer)
    return "\n\n".join([*blocks, "\n".join(lines)])


def _total(count: int, do: str) -> str:
    return f"1 server {do.replace('run', 'runs', 1)} it" if count == 1 else f"{count or 'no'} servers {do} it"


def _block(image: str, findings: list[Finding], lives: list[Lifetime]) -> str:
    head = [f"image {short(image)}", *(f"  {_of_finding(finding)}" for finding in findings)]
    rows = [("", s.server, s.project, s.group, _time(s.began), _time(s.ended) if s.ended else "-") for s in lives]
    return "\n".join([*head, table(("", "SERVER", "PROJECT", "GROUP", "SINCE (UTC)", "UNTIL"), rows)])


def _of_finding(finding: Finding) -> str:
    notes = [finding.because] if finding.because == "source" else []
    if finding.because == "artifact":
        notes.append("its group is not known")
    if finding.origin:
        notes = [f"{'from source' if finding.because in ('source', 'signed') else 'built using'} {finding.origin}"]
    notes += [f"package {finding.owner}"] if finding.owner else []
    notes += ["named by a lock file; it need not be there"] if finding.declared else []
    notes += [f"by the {finding.evidence}, sure to {finding.confidence:.0%}"] if finding.confidence < 1 else []
    told = f" ({'; '.join(notes)})" if notes else ""
    return f"{finding.ecosystem} {finding.name} {finding.version}  {finding.path}{told}"


def _untold(answer: Answer) -> list[str]:
    """What cannot be told, in lines."""
    by: dict[str, list[Silent]] = defaultdict(list)
    for silent in answer.silent:
        by[silent.why].append(silent)
    lines = [f"cannot tell: {each}" for each in answer.gaps]
    lines += [f"cannot tell: the image {short(s.image)} holds {s.detail}" for s in by["incomparable"][:SHOWN]]
    lines += [
        f"cannot tell: the image {short(s.image)} of such servers is not on this machine" for s in by["unread"][:SHOWN]
    ]
    if unidentified := by["unidentified"]:
        files = sum(each.files for each in unidentified)
        lines.append(
            f"cannot tell: {files} {'file' if files == 1 else 'files'} in {len(unidentified)} of these servers' images "
            "could not be identified: see `bluestone sbom IMAGE`, of "
            + ", ".join(short(each.image) for each in unidentified[:SHOWN])
        )
    return lines


def _time(moment: datetime) -> str:
    # Of UTC; and a third of what a format of its own would take.
    return moment.isoformat(" ", "seconds")[:19]
