"""`exposures`: what the servers of a project are exposed to, by the bills of their images and what feeds say."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.image.choose import chosen
from bluestone.app.image.sbom import bill_of
from bluestone.app.patch import feeds, looks
from bluestone.app.patch.where import current
from bluestone.app.project import Project
from bluestone.host.files import write_atomically
from bluestone.model.exposure import AFFECTED, Assessment, Exposure
from bluestone.model.ids import Digest, short
from bluestone.model.problem import Problem
from bluestone.patch import policy
from bluestone.patch.assess import assessed, coverage
from bluestone.patch.board import Board
from bluestone.patch.estate import Estate, furnish
from bluestone.patch.exposure import Catalogue, exposures, match, unknown
from bluestone.patch.inventory.lives import running
from bluestone.patch.sources import origins

if TYPE_CHECKING:
    from bluestone.model.bom import Bom

Progress = Callable[[str], None]

SEEN = "exposures-seen"
"""Since when exposures are known whose feed does not say it: a file of a project's, JSON."""


class _Subject(Struct, frozen=True):
    """What is looked at: images, with the servers and groups that run them; and what hinders to see all."""

    servers: Mapping[Digest, tuple[str, ...]]
    groups: Mapping[Digest, tuple[str, ...]]
    gaps: tuple[str, ...] = ()


def board(
    project: Project,
    progress: Progress,
    *,
    groups: Collection[str] = (),
    image: str | None = None,
    ask: bool = True,
    older: timedelta = feeds.FRESH,
    now: datetime | None = None,
) -> Board:
    """What the images are exposed to that servers of these groups (all, if none) run now; or what `image` is.

    With `ask`, feeds are fetched that were last fetched longer ago than `older`. Raises `Problem`.
    """
    now = now or datetime.now(UTC)
    subject = _alone(project, image) if image else _running(project, groups, progress)
    boms, unread = _bills(project, subject.servers)
    held = {(o.name, o.version) for bom in boms for c in bom.components for o in origins(c) if o.how != "built using"}
    if ask:
        feeds.update(project, held, now, progress, older=older)
    known = feeds.load(project, held, now)
    estate = furnish(boms)
    found = [
        policy.waived(project.declaration.patch, each, subject.groups.get(each.image, ()), now)
        for each in _dated(project, _met(estate, known), now)
    ]
    ends = {name: end for reading in known.readings for name, end in reading.ends.items()}
    assessment = Assessment(
        at=now,
        exposures=tuple(found),
        unknown=tuple(unknown(estate, coverage(known.states, ends, now.date()), subject.servers)),
        feeds=known.states,
        servers=subject.servers,
        gaps=(*subject.gaps, *unread, *_doubts(known)),
    )
    made = Board(project.name, assessment, tuple(_deadlines(project, found, subject)), subject.groups)
    if not groups and not image:
        looks.note(project, made)
    return made


def _met(estate: Estate, known: feeds.Feeds) -> list[Exposure]:
    advisories = (advisory for reading in known.readings for advisory in reading.advisories)
    return assessed(exposures(match(estate, Catalogue.of(advisories, estate.names))), known.readings)


def _running(project: Project, groups: Collection[str], progress: Progress) -> _Subject:
    declared = {each.name for each in project.groups}
    for group in groups:
        if group not in declared:
            raise Problem(f"no group is called {group!r}", mend=f"choices: {', '.join(sorted(declared))}")
    servers: dict[Digest, list[str]] = defaultdict(list)
    names: dict[Digest, set[str]] = defaultdict(set)
    with current(project, progress) as (index, gaps):
        for life in running(index, project.name):
            if not groups or life.group in groups:
                servers[life.image].append(life.server)
                names[life.image].add(life.group)
    return _Subject(
        {image: tuple(found) for image, found in sorted(servers.items())},
        {image: tuple(sorted(found)) for image, found in names.items()},
        gaps,
    )


def _alone(project: Project, image: str) -> _Subject:
    """An image as if all groups ran it."""
    digest = chosen(project, image).digest
    return _Subject({digest: ()}, {digest: tuple(group.name for group in project.groups)})


def _bills(project: Project, images: Iterable[Digest]) -> tuple[list[Bom], list[str]]:
    """The bills of images, and what hinders to read some."""
    store = wiring.images(project)
    boms: list[Bom] = []
    gaps: list[str] = []
    for image in images:
        try:
            bom = replace(bill_of(store.get(image)), image=image)
        except Problem as problem:
            gaps.append(f"what is in the image {short(image)}: {problem.what}")
        else:
            boms.append(bom)
            if not bom.components:
                gaps.append(f"what is in the image {short(image)}: its bill names nothing")
    return boms, gaps


def _doubts(known: feeds.Feeds) -> Iterator[str]:
    """Feeds in trouble that cover nothing, but tell how urgent something is, or that it is none."""
    return (f"the feed {state.name} {state.trouble}" for state in known.states if state.trouble and not state.covers)


def _dated(project: Project, found: Iterable[Exposure], now: datetime) -> list[Exposure]:
    """Exposures with a moment since which they are known, where no feed says one: when they were first seen here."""
    path = project.state / SEEN
    seen: dict[str, str] = {}
    with suppress(OSError, ValueError):
        seen = dict(json.loads(path.read_text()))
    before, dated = len(seen), []
    for each in found:
        if each.since is None and each.verdict in AFFECTED:
            key = f"{each.advisory.id} {each.source or each.component.name} {each.fixed}"
            dated.append(replace(each, since=datetime.fromisoformat(seen.setdefault(key, now.isoformat()))))
        else:
            dated.append(each)
    if len(seen) != before:
        write_atomically(path, json.dumps(seen).encode())
    return dated


def _deadlines(project: Project, found: Iterable[Exposure], subject: _Subject) -> Iterator[policy.Deadline]:
    """By when exposures must be gone, by the groups that run their images and are declared."""
    groups = {group.name: group for group in project.groups}
    for each in found:
        running_it = [groups[name] for name in subject.groups.get(each.image, ()) if name in groups]
        yield policy.of_exposure(project.declaration.patch, each, running_it)
