"""`exposures`: what servers are exposed to, as a board; `feeds`: where that is learned from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bluestone import __version__
from bluestone.cli import options
from bluestone.cli.options import file_option, json_option, printable, table
from bluestone.model.ids import short

if TYPE_CHECKING:
    from bluestone.app.project import Project
    from bluestone.model.exposure import FeedState
    from bluestone.patch.board import Board, Row

FORMATS = ("text", "json", "csv", "sarif", "cyclonedx-vex", "openvex", "html")
HEAD = ("", "PACKAGE", "HAS", "FIXED IN", "ADVISORIES", "SEVERITY", "SINCE", "DUE (UTC)", "SERVERS")
NAMED = 2
"""Advisories of a row that are named; `--all` names all."""

UNASKED = ("someday", "no fix", "waived")
"""What is counted and not shown, unless `--all` is given, or it is known to be exploited and nobody waived it."""


@click.command()
@click.argument("group", required=False)
@click.option("--image", metavar="IMAGE", help="Of an image instead: before it is rolled out, for one.")
@click.option("--all", "everything", is_flag=True, help="What has no fix, is waived or has no deadline as well.")
@click.option("--ignore-unfixed", is_flag=True, help="What has no fix does not count for the exit status.")
@click.option("--offline", is_flag=True, help="Ask no feed: go by what was fetched before.")
@click.option("--format", "wanted", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print.")
@file_option
@json_option
def exposures(
    group: str | None,
    image: str | None,
    everything: bool,
    ignore_unfixed: bool,
    offline: bool,
    wanted: str,
    file: Path,
    as_json: bool,
) -> int:
    """Show what running servers are exposed to: what is overdue, due, or cannot be told; what has
    no fix if it is known to be exploited.

    Exits 2 if anything is affected, 0 if nothing is, and 3 if that cannot be told of all: a feed is stale or in
    trouble, or none covers what is in an image. Deadlines are those of [patch] in the declaration.
    """
    from bluestone.app.patch.exposures import board
    from bluestone.app.project import Project
    from bluestone.patch.board import EXIT, outcome

    if group and image:
        raise click.UsageError("GROUP and --image exclude each other")
    project = Project.open(file)
    found = board(project, _say, groups=[group] if group else [], image=image, ask=not offline)
    came = outcome(found, ignore_unfixed=ignore_unfixed)
    wanted = "json" if as_json else wanted
    if wanted == "text":
        click.echo(printable(shown(found, came, everything=everything)))
    else:
        click.echo(_written(project, found, came, wanted), nl=False)
    return EXIT[came]


@click.command()
@click.option("--update", is_flag=True, help="Fetch all of them now.")
@file_option
@json_option
def feeds(update: bool, file: Path, as_json: bool) -> int:
    """Show where it is learned from what is wrong with which versions, and whether that can be relied on.

    Exits 3 if any feed cannot, and 0 else.
    """
    from bluestone.app.patch.feeds import states
    from bluestone.app.project import Project

    found = states(Project.open(file), _say, fetch=update)
    if as_json:
        click.echo(options.as_json(found))
    else:
        click.echo(printable(table(FEED_HEAD, map(_feed, found)) if found else "no feed: nothing can be told"))
    return 0 if found and all(state.complete for state in found) else 3


FEED_HEAD = ("FEED", "COVERS", "ENTRIES", "DESCRIBES (UTC)", "FETCHED (UTC)", "SHA256", "STATE")


def _feed(state: FeedState) -> tuple[object, ...]:
    dates = (f"{each:%Y-%m-%d %H:%M}" if each else "-" for each in (state.date, state.fetched))
    covers = ", ".join(state.covers) or "-"
    return (state.name, covers, state.advisories, *dates, state.digest[:12] or "-", state.trouble or "sound")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _written(project: Project, found: Board, came: str, wanted: str) -> str:
    from bluestone.app.patch import looks
    from bluestone.patch.reports import html, sarif, tables, vex

    def as_text(value: Any) -> str:
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

    writers: dict[str, Callable[[], str]] = {
        "json": lambda: options.as_json(_data(found, came)) + "\n",
        "csv": lambda: tables.as_csv(found),
        "sarif": lambda: as_text(sarif.sarif(found, __version__)),
        "cyclonedx-vex": lambda: as_text(vex.cyclonedx(found, __version__)),
        "openvex": lambda: as_text(vex.openvex(found)),
        "html": lambda: html.page(found, looks.read(project)),
    }
    return writers[wanted]()


def _data(found: Board, came: str) -> dict[str, Any]:
    whole = found.assessment
    return {
        "outcome": came,
        "at": whole.at,
        "tally": found.tally(),
        "exposures": [
            {**msgspec.to_builtins(each), "standing": standing, "due": due.at, "rule": due.why}
            for each, due, standing in found.each()
        ],
        "unknown": whole.unknown,
        "feeds": whole.feeds,
        "servers": whole.servers,
        "gaps": whole.gaps,
    }


def shown(found: Board, came: str, *, everything: bool) -> str:
    """The board as text: what presses most first, then what cannot be told, then what it all comes to."""
    from bluestone.patch.board import rows

    whole = found.assessment
    there = rows(found)
    listed = [row for row in there if everything or _presses(row)]
    blocks = []
    if listed:
        blocks.append(table(HEAD, (_cells(row, whole.at, everything=everything) for row in listed)))
    untold = [f"cannot tell: {each}" for each in _untold(found)]
    if untold:
        blocks.append("\n".join(untold))
    more = "" if len(listed) == len(there) else "; --all shows the rest"
    return "\n\n".join([*blocks, _summary(found, came) + more])


def _presses(row: Row) -> bool:
    return row.standing not in UNASKED or (row.exploited and row.standing != "waived")


def _cells(row: Row, now: datetime, *, everything: bool) -> tuple[object, ...]:
    named = row.names if everything else row.names[:NAMED]
    more = f" +{len(row.names) - len(named)}" if len(row.names) > len(named) else ""
    marks = [row.severity if row.severity != "unknown" else "-", "exploited" if row.exploited else ""]
    return (
        row.standing,
        f"{row.ecosystem} {row.package}",
        row.version,
        row.fixed or "-",
        " ".join(named) + more,
        " ".join(filter(None, marks)),
        ago(now - row.since) if row.since else "-",
        f"{row.due.at:%Y-%m-%d %H:%M}" if row.due.at else "-",
        len(row.servers),
    )


def ago(span: timedelta) -> str:
    """How long ago, roughly."""
    from bluestone.patch.feeds.judge import in_words

    return f"{in_words(span)} ago" if span >= timedelta(0) else "-"


def _untold(found: Board) -> Iterable[str]:
    """What cannot be told, once for all images of which the same is true."""
    from collections import defaultdict

    alike: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for each in found.assessment.unknown:
        alike[each.realm, each.why, each.components].append(short(each.image))
    for (realm, why, count), images in alike.items():
        what = f"{count} components of {realm}" if realm else f"{count} files"
        yield f"{what} in {_images(images)}: {why}"
    yield from found.assessment.gaps


def _images(names: Sequence[str]) -> str:
    return f"the image {names[0]}" if len(names) == 1 else f"{len(names)} images ({', '.join(names[:5])})"


def _summary(found: Board, came: str) -> str:
    whole = found.assessment
    counted = ", ".join(f"{count} {standing}" for standing, count in found.tally().items() if count)
    servers = sum(map(len, whole.servers.values()))
    images = f"{len(whole.servers)} {'image' if len(whole.servers) == 1 else 'images'}"
    of = f"{servers} {'server' if servers == 1 else 'servers'} on {images}" if servers else images
    said = {"clean": "nothing is exposed", "affected": "affected", "unknown": "cannot be told"}[came]
    return f"{of}: {said}{f' ({counted})' if counted else ''}"
