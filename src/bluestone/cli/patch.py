"""`patch`: from a fix to servers that have it, and the proof of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table, take_over_option
from bluestone.cli.progress import Reporter
from bluestone.model.problem import Problem

if TYPE_CHECKING:
    from bluestone.app.patch.outlook import Outlook
    from bluestone.app.patch.patch import PatchPlan

EXIT_EXPOSED, EXIT_UNKNOWN = 2, 3
"""What `patch --plan` exits with when there is something to do, and when it cannot be told that there is not."""

MOST_NAMES = 4
"""How many names of advisories are shown of a fix."""


@click.command()
@click.argument("target", required=False, metavar="[GROUP|ADVISORY]")
@file_option
@json_option
@take_over_option
@click.option("--plan", is_flag=True, help="Show what would be done, and change nothing; exit 2 if there is something.")
def patch(target: str | None, file: Path, as_json: bool, take_over: bool, plan: bool) -> int:
    """Replace servers that are exposed to what there is a fix for, and prove it.

    Without GROUP or ADVISORY, all servers and all fixes. The new image has nothing else that is new: what differs
    beyond the fixes stops it.
    """
    project = Project.open(file)
    if plan:
        return _plan(project, target, as_json=as_json)
    from bluestone.daemon import lead

    with Reporter(as_json=as_json) as reporter:
        found, arrival = lead.patch(
            project,
            target,
            take_over=take_over,
            notify=reporter.event,
            watch=reporter.watch,
            progress=reporter.say,
        )
    if found.phase == "wait":
        raise Problem(
            f"a patch may not begin now: {found.why}",
            mend="wait, or let patch.freezes except it with `unless`",
            left="nothing was done",
        )
    if not as_json:
        for line in _bumps(found):
            click.echo(line)
    if found.phase == "rest":
        return reporter.close(arrival, project, end=_rest(found)) or _status(found)
    return reporter.close(arrival, project, end="no server is exposed to it any more; see `bluestone proof`")


def _plan(project: Project, target: str | None, *, as_json: bool) -> int:
    from bluestone.app.patch.patch import intend

    def say(text: str) -> None:
        click.echo(text, err=True)

    made = intend(project, target, say)
    found = made.outlook
    if as_json:
        click.echo(options.as_json(_data(made)))
    else:
        click.echo(printable("\n".join(_text(made))))
    return _status(found) if found.phase == "rest" else EXIT_EXPOSED


def _text(made: PatchPlan) -> Iterator[str]:
    from bluestone.image.lock import diff

    found = made.outlook
    if found.fixes:
        rows = [
            (_day(fix.due, "-"), fix.package, ", ".join(fix.installed), fix.fixed, _names(fix.advisories))
            for fix in found.fixes
        ]
        yield table(("due", "package", "installed", "fixed in", "ends"), rows)
    for fix in found.by_hand:
        versions = f"{', '.join(fix.installed)} -> {fix.fixed}"
        yield f"by hand: {fix.ecosystem} {fix.package} {versions} ({_names(fix.advisories)})"
    if made.changes:
        yield f"lock: {diff.summary(made.changes)}"
        yield diff.text(made.changes)
    for fix in made.lost:
        yield f"the archives lack {fix.package} {fix.fixed}"
    yield from _bumps(found)
    for fix in (fix for fix in found.fixes if fix.triage):
        yield f"{fix.package}: look for traces of an attack as well, before servers go (`bluestone logs`)"
    yield from (f"not to be seen: {gap}" for gap in found.assessment.gaps)
    yield from (f"feed {feed.name}: {feed.trouble}" for feed in found.assessment.feeds if feed.trouble)
    yield f"next: {found.phase}: {_rest(found) if found.phase == 'rest' else found.why}"


def _bumps(found: Outlook) -> Iterator[str]:
    for bump in found.bumps:
        where = f"{bump.file}:{bump.line}" if bump.line else bump.file
        done = "raised" if bump.raises else f"by hand: {bump.kept}" if bump.kept else "by hand"
        done += ", then build it anew" if bump.raises and bump.rebuilds else ""
        yield printable(f"{where}: {bump.how} ({done}; ends {_names(bump.advisories)})")


def _status(found: Outlook) -> int:
    """The exit status where there is nothing to roll out."""
    return EXIT_EXPOSED if found.by_hand else EXIT_UNKNOWN if _hidden(found) else 0


def _rest(found: Outlook) -> str:
    if found.by_hand:
        return f"{len(found.by_hand)} fixes are left that a patch cannot bring: see `bluestone patch --plan`"
    if _hidden(found):
        return "nothing that could be fixed is known, and not everything could be seen"
    return "no server is exposed to what there is a fix for"


def _hidden(found: Outlook) -> bool:
    """Whether something that is not known could hide an exposure."""
    return found.assessment.outcome == "unknown"


def _data(made: PatchPlan) -> dict[str, Any]:
    found = made.outlook
    return {
        "phase": found.phase,
        "why": found.why,
        "opens": found.permission.opens,
        "servers": found.servers,
        "fixes": found.fixes,
        "by_hand": found.by_hand,
        "lost": made.lost,
        "changes": made.changes,
        "bumps": found.bumps,
        "feeds": found.assessment.feeds,
        "gaps": found.assessment.gaps,
    }


def _names(names: tuple[str, ...]) -> str:
    """CVE numbers first, of many the first."""
    ordered = sorted(names, key=lambda name: (not name.startswith("CVE-"), name))
    more = f" and {len(ordered) - MOST_NAMES} more" if len(ordered) > MOST_NAMES else ""
    return ", ".join(ordered[:MOST_NAMES]) + more


def _day(moment: datetime | None, otherwise: str) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else otherwise
