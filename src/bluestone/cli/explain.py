"""`explain`: why is it so."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option
from bluestone.fleet.story import Story

SHOWN = 40
"""How many of a story's events are shown: the first and last ones, if there are more. `--json` has all of them."""


@click.command()
@click.argument("target", metavar="SERVER|PLAN|EVENT")
@file_option
@json_option
def explain(target: str, file: Path, as_json: bool) -> None:
    """Say why a server is here, or was destroyed; what a plan did; what an event belongs to.

    SERVER is a name, also of a server that is long gone; PLAN the id that `plan` prints; EVENT a number of `events`.
    """
    from bluestone.app.fleet.explain import explain as look_up
    from bluestone.fleet import explain as plans

    found = look_up(Project.open(file), target)
    if as_json:
        plan = plans.data(found.forecast) if found.forecast else None
        click.echo(options.as_json({"stories": found.stories, "plan": plan}))
        return
    if found.forecast is not None:
        click.echo(f"plan {target} is what `bluestone up` would do now")
        click.echo(plans.text(found.forecast))
        for span in found.forecast.spans:
            for reason in span.waits:
                click.echo(f"{span.group} waits: {reason}")
    click.echo("\n\n".join(_text(story) for story in found.stories))


def _text(story: Story) -> str:
    said = ["", f"its last words (bluestone logs {story.name} has all):", *map(options.printable, story.said)]
    return "\n".join([*story.summary, *(said if story.said else []), "", *_events(story)])


def _events(story: Story) -> list[str]:
    lines = [
        f"{event.sequence:>6}  {event.at:%Y-%m-%d %H:%M:%S}  {event.kind:<17} {event.server or event.group:<24} "
        f"{event.message}".rstrip()
        for event in story.events
    ]
    if len(lines) <= SHOWN:
        return lines
    half = SHOWN // 2
    return [*lines[:half], f"        ... {len(lines) - 2 * half} more: see --json ...", *lines[-half:]]
