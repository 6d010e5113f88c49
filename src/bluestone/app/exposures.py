"""`exposures`: what the servers of a project are exposed to, by the bills of their images and what feeds say."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bluestone.app import feeds, wiring
from bluestone.app.choose import chosen
from bluestone.app.project import Project
from bluestone.app.sbom import bill_of
from bluestone.app.where import current
from bluestone.host.files import write_atomically
from bluestone.model.bom import Bom
from bluestone.model.exposure import AFFECTED, Assessment, Exposure
from bluestone.model.group import Group
from bluestone.model.ids import Digest, short
from bluestone.model.problem import Problem
from bluestone.patch import policy
from bluestone.patch.assess import assessed, coverage
from bluestone.patch.estate import furnish
from bluestone.patch.exposure import Catalogue, exposures, match, unknown
from bluestone.patch.inventory.find import running
from bluestone.patch.sources import origins

Progress = Callable[[str], None]

SEEN = "exposures-seen"
"""Since when exposures are known whose feed does not say it: a file of a project's, JSON."""


@dataclass(frozen=True)
class Board:
    """An assessment with the deadlines of its exposures, in the same order, by the policy of the declaration."""

    assessment: Assessment
    deadlines: tuple[policy.Deadline, ...]
    groups: Mapping[Digest, tuple[str, ...]]


def assess(
    project: Project,
    progress: Progress,
    *,
    groups: Collection[str] = (),
    image: str | None = None,
    ask: bool = True,
    now: datetime | None = None,
) -> Assessment:
    """What the images are exposed to that servers of these groups (all, if none) run now; or what `image` is.

    With `ask`, feeds that were not fetched of late are. Raises `Problem`.
    """
    return board(project, progress, groups=groups, image=image, ask=ask, now=now).assessment


def board(
    project: Project,
    progress: Progress,
    *,
    groups: Collection[str] = (),
    image: str | None = None,
    ask: bool = True,
    now: datetime | None = None,
) -> Board:
    """As `assess`, with deadlines."""
    now = now or datetime.now(UTC)
    for group in groups:
        if group not in {each.name for each in project.groups}:
            raise Problem(f"there is no group called {group!r}", mend="name one of the declaration's [servers.NAME]")
    servers, grouped, gaps = _alone(project, image) if image else _running(project, groups, progress)
    boms, more = _bills(project, servers)
    held = [(o.name, o.version) for bom in boms for c in bom.components for o in origins(c) if o.how != "built using"]
    if ask:
        feeds.update(project, held, now, progress)
    known = feeds.load(project, held, now)
    estate = furnish(boms)
    found = assessed(
        exposures(match(estate, Catalogue.of((a for r in known.readings for a in r.advisories), estate.names))),
        known.readings,
    )
    ends = {name: end for reading in known.readings for name, end in reading.ends.items()}
    covered = coverage(known.states, ends, now.date())
    by_name = {group.name: group for group in project.groups}
    found = [_waived(project, each, grouped.get(each.image, ()), now) for each in _dated(project, found, now)]
    assessment = Assessment(
        at=now,
        exposures=tuple(found),
        unknown=tuple(unknown(estate, covered, servers)),
        feeds=known.states,
        servers=servers,
        gaps=(*gaps, *more, *_doubts(known)),
    )
    return Board(assessment, tuple(_deadline(project, each, grouped, by_name) for each in found), grouped)


def _running(
    project: Project, groups: Collection[str], progress: Progress
) -> tuple[dict[Digest, tuple[str, ...]], dict[Digest, tuple[str, ...]], tuple[str, ...]]:
    """The servers and the groups of each image that is running, and what hinders to see all."""
    servers: dict[Digest, list[str]] = defaultdict(list)
    names: dict[Digest, set[str]] = defaultdict(set)
    with current(project, progress) as (index, gaps):
        for life in running(index, project.name):
            if not groups or life.group in groups:
                servers[life.image].append(life.server)
                names[life.image].add(life.group)
    return (
        {image: tuple(found) for image, found in sorted(servers.items())},
        {image: tuple(sorted(found)) for image, found in names.items()},
        gaps,
    )


def _alone(
    project: Project, image: str
) -> tuple[dict[Digest, tuple[str, ...]], dict[Digest, tuple[str, ...]], tuple[str, ...]]:
    """An image as if all groups ran it."""
    digest = chosen(project, image).digest
    return {digest: ()}, {digest: tuple(group.name for group in project.groups)}, ()


def _bills(project: Project, images: Iterable[Digest]) -> tuple[list[Bom], list[str]]:
    """The bills of images, and what hinders to read some."""
    store, boms, gaps = wiring.images(project), [], []
    for image in images:
        try:
            boms.append(replace(bill_of(store.get(image)), image=image))
        except Problem as problem:
            gaps.append(f"what is in the image {short(image)}: {problem.what}")
    return boms, gaps


def _doubts(known: feeds.Feeds) -> Iterable[str]:
    """Feeds in trouble that cover nothing, but tell how urgent something is, or that it is none."""
    return (f"the feed {state.name} {state.trouble}" for state in known.states if state.trouble and not state.covers)


def _dated(project: Project, found: Iterable[Exposure], now: datetime) -> list[Exposure]:
    """Exposures with a moment since which they are known, where no feed says one: when they were first seen here."""
    path, seen = project.state / SEEN, _seen(project.state / SEEN)
    dated, before = [], dict(seen)
    for each in found:
        if each.since is None and each.verdict in AFFECTED:
            key = f"{each.advisory.id} {each.source or each.component.name} {each.fixed}"
            each = replace(each, since=datetime.fromisoformat(seen.setdefault(key, now.isoformat())))
        dated.append(each)
    if seen != before:
        write_atomically(path, json.dumps(seen).encode())
    return dated


def _seen(path: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        if isinstance(found, dict):
            return found
    return {}


def _waived(project: Project, exposure: Exposure, groups: Collection[str], now: datetime) -> Exposure:
    return policy.waived(project.declaration.patch, exposure, groups, now)


def _deadline(
    project: Project, exposure: Exposure, grouped: Mapping[Digest, tuple[str, ...]], groups: Mapping[str, Group]
) -> policy.Deadline:
    """By when an exposure must be gone, by the groups that run it; of one that is no more declared, by its image's."""
    running_it = [groups[name] for name in grouped.get(exposure.image, ()) if name in groups]
    return policy.of_exposure(project.declaration.patch, exposure, running_it)
