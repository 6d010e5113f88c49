"""What a person sees while servers are replaced: a line for each event and, on a terminal, how it stands."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

import click

from bluestone.app.fleet.rollout import Failure
from bluestone.app.fleet.up import Arrival
from bluestone.app.project import Project
from bluestone.cli.options import as_json_line
from bluestone.fleet.controller.journal import Entry
from bluestone.model.plan import Progress

if TYPE_CHECKING:
    from rich.status import Status

SHOWN = {
    "patch.began": ">>",
    "patch.locked": "..",
    "patch.built": "..",
    "patch.compared": "==",
    "patch.rehearses": "..",
    "patch.rehearsed": "==",
    "patch.retired": "- ",
    "patch.stopped": "!!",
    "patch.closed": "ok",
    "patch.reopened": "!!",
    "rollout.started": ">>",
    "rollout.settled": "==",
    "rollout.finished": "ok",
    "rollout.halted": "!!",
    "rollout.paused": "!!",
    "canary.began": "..",
    "canary.passed": "==",
    "server.created": " +",
    "server.attached": " >",
    "server.detached": " <",
    "server.destroyed": " -",
    "server.died": " x",
    "server.tainted": " ~",
    "server.drifted": " ~",
    "server.down": " x",
    "server.up": " >",
    "action.failed": " !",
}
"""The events that are shown, and the sign before each. The others are in `bluestone events`."""


class Reporter:
    """Shows events as they are recorded; JSON lines with `as_json`."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._status: Status | None = None
        self._began = time.monotonic()

    def __enter__(self) -> Reporter:
        """Begin; on a terminal with a line that is kept up to date."""
        if not self._as_json and sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status("looking")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away."""
        if self._status is not None:
            self._status.stop()

    def say(self, text: str) -> None:
        """Show a line about building."""
        if self._as_json:
            click.echo(as_json_line({"kind": "progress", "message": text}))
        else:
            click.echo(f"   {text}")

    def event(self, at: datetime, entry: Entry) -> None:
        """Show a journal entry."""
        if self._as_json:
            click.echo(
                as_json_line(
                    {"at": at, "kind": entry.kind, "group": entry.group, "server": entry.server}
                    | {"message": entry.message, "data": entry.data}
                )
            )
        elif entry.kind in SHOWN:
            what = entry.kind.partition(".")[2] if entry.server else entry.kind.replace(".", " ")
            name = entry.server or entry.group
            line = f"{at.astimezone():%H:%M:%S} {SHOWN[entry.kind]} {what:<10} {name:<24} {entry.message}"
            click.echo(line.rstrip())

    def watch(self, progress: Sequence[Progress]) -> None:
        """Keep the status line up to date."""
        if self._status is None:
            return
        parts = [f"{group.group}: {group.serving} serve, {group.total} exist" for group in progress]
        waiting = [reason for group in progress for reason in group.waiting[:1]]
        self._status.update("; ".join([*parts, *waiting[:2]]))

    def close(self, arrival: Arrival, project: Project, *, end: str = "") -> int:
        """Say how it ended; return the exit status."""
        took = time.monotonic() - self._began
        if self._as_json:
            failures = [{"group": f.group, "reason": f.reason, "server": f.server} for f in arrival.failures]
            click.echo(as_json_line({"kind": "end", "changed": arrival.changed, "failures": failures}))
        elif arrival.failures:
            for failure in arrival.failures:
                click.echo(_explain(failure), err=True)
        elif not arrival.changed:
            click.echo("nothing to do: everything is as declared" if not end else f"nothing to do: {end}")
        else:
            click.echo(f"done in {took:.1f} s: {end or _addresses(project)}")
        return 1 if arrival.failures else 0


def _addresses(project: Project) -> str:
    """Where the groups are reached."""
    parts = [
        f"{group.name} on "
        + ", ".join(f"{'http' if p.mode == 'http' else 'tcp'}://{p.bind}:{p.listen}" for p in group.ports)
        for group in project.groups
        if group.ports
    ]
    return "; ".join(parts) or "all servers run"


def _explain(failure: Failure) -> str:
    lines = [f"error: the rollout of {failure.group} was stopped: {failure.reason}"]
    if failure.last_lines:
        lines.append(f"  the last lines of {failure.server}:")
        lines += [f"   |  {line}" for line in failure.last_lines]
    lines.append("  left: what served before still serves; the new servers that never served were removed")
    lines.append("  mend: correct the declaration and run `bluestone up`, or go back with `bluestone rollback`;")
    lines.append(f"        `bluestone resume {failure.group}` ends a pause, and lets what failed be tried again")
    return "\n".join(lines)
