"""`drift`: where servers differ from their images, and what nobody declared."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table
from bluestone.cli.progress import Reporter

if TYPE_CHECKING:
    from bluestone.app.fleet.drift import Findings
    from bluestone.fleet.controller.watcher import Examined

EXIT_DRIFT = 2
"""What `drift` exits with when something is not as it should be."""


@click.command()
@click.argument("target", required=False, metavar="[GROUP|SERVER]")
@click.option("--replace", is_flag=True, help="Replace the servers that are tainted, within their groups' limits.")
@click.option("--remove-strays", is_flag=True, help="Remove servers that nobody declared, if bluestone made them.")
@file_option
@json_option
def drift(target: str | None, replace: bool, remove_strays: bool, file: Path, as_json: bool) -> int:
    """Show where servers differ from their images, who was on them, and what nobody declared.

    What is found for the first time is written to the journal, and taints its server unless its group says
    `on_drift = "report"`: `--replace`, the next `up` or the daemon replaces it. Exits 0 for none, 2 for some, 1 for
    an error.
    """
    from bluestone.app.fleet import drift as use_case
    from bluestone.daemon import presence

    project = Project.open(file)
    if target and (replace or remove_strays):
        raise click.UsageError("--replace and --remove-strays are for all servers: leave out the GROUP or SERVER")
    found = use_case.find(project, target)
    if not (as_json and (replace or remove_strays)):
        click.echo(options.as_json(_data(found)) if as_json else _text(found))
    if not (replace or remove_strays):
        return EXIT_DRIFT if found.any else 0
    status = 0
    with Reporter(as_json=as_json) as reporter:
        if remove_strays:
            removed = use_case.remove_strays(project, notify=reporter.event)
            if not as_json:
                click.echo(f"removed: {', '.join(removed) or 'nothing'}")
        if replace and presence.find(project):
            reporter.say("the daemon replaces them: `bluestone status` and `bluestone events` show how far it is")
        elif replace:
            arrival = use_case.replace_tainted(
                project, notify=reporter.event, watch=lambda tick: reporter.watch(tick.plan.progress)
            )
            status = reporter.close(arrival, project)
    return status


def _text(found: Findings) -> str:
    parts = []
    rows = [
        (
            server.server,
            verdict.drift.aspect,
            printable(verdict.drift.what),
            _since(verdict.drift.since),
            _then(server, verdict.why_not),
        )
        for server in found.report.servers
        for verdict in server.verdicts
    ]
    if rows:
        parts.append(table(("SERVER", "WHAT", "IN WHICH WAY", "SINCE (UTC)", "THEN"), rows))
    if found.strays:
        rows_of_strays = [(stray.name, stray.kind, printable(stray.what)) for stray in found.strays]
        parts.append(table(("NOT DECLARED", "KIND", "WHAT"), rows_of_strays))
    looked_at = len(found.report.servers)
    if not rows:
        parts.append(f"no drift found on {looked_at} server{'' if looked_at == 1 else 's'}")
    parts += _not_examined(found)
    if any(server.verdicts and server.tainted for server in found.report.servers):
        parts.append("tainted servers are replaced by the next `bluestone up`, or now by `bluestone drift --replace`")
    return "\n".join(parts)


def _not_examined(found: Findings) -> list[str]:
    """What cannot be said to be clean: one line for servers of which the same was not seen for the same reason."""
    gaps = sorted(
        (unseen.why, unseen.aspect, server.server) for server in found.report.servers for unseen in server.unseen
    )
    lines = []
    for why, same in groupby(gaps, key=lambda gap: gap[0]):
        seen = list(same)
        aspects, servers = (list(dict.fromkeys(gap[i] for gap in seen)) for i in (1, 2))
        lines.append(f"not examined: {', '.join(aspects)} of {', '.join(servers)}: {printable(why)}")
    return [*lines, *(f"cannot see: {gap}" for gap in found.report.gaps)]


def _since(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "-"


def _then(server: Examined, why_not: str) -> str:
    if server.tainted:
        return "tainted"
    return f"reported: {why_not}" if why_not else "reported"


def _data(found: Findings) -> dict[str, object]:
    servers = [
        {
            "server": server.server,
            "group": server.group,
            "tainted": server.tainted,
            "drift": [
                {
                    "aspect": verdict.drift.aspect,
                    "subject": verdict.drift.subject,
                    "what": verdict.drift.what,
                    "since": verdict.drift.since,
                    "taints": verdict.taints,
                    "why_not": verdict.why_not,
                }
                for verdict in server.verdicts
            ],
            "not_examined": [{"aspect": unseen.aspect, "why": unseen.why} for unseen in server.unseen],
        }
        for server in found.report.servers
    ]
    return {"at": found.report.at, "servers": servers, "strays": found.strays, "gaps": found.report.gaps}
