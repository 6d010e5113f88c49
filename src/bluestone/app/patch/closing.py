"""The question that closes a patch, and the proof that it was answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from bluestone.app import wiring
from bluestone.app.fleet.heal import recorded_goals
from bluestone.app.fleet.rollout import utc_now
from bluestone.app.image.provenance import seal_by_project
from bluestone.app.image.sbom import bill_of
from bluestone.app.patch.where import current
from bluestone.app.project import Project
from bluestone.app.running import running
from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.image.sbom.bills import digests
from bluestone.model.ids import Digest, short, slot_name
from bluestone.model.problem import Problem
from bluestone.model.server import Server
from bluestone.patch import proof as proofs
from bluestone.patch.inventory.lives import lived_on
from bluestone.patch.inventory.lives import running as alive
from bluestone.patch.loop import Fix, open_in
from bluestone.patch.proof import Bills, Ended, Feed, Moved, Proof, Query

if TYPE_CHECKING:
    from bluestone.app.patch.outlook import Patch

DIRECTORY = "proofs"
SUFFIX = ".dsse.json"


class Exposed(Struct, frozen=True):
    """The answer at an instant: names of exposed `servers`, all servers that were asked about, those that the journal
    knows of and nobody lists, and `gaps`: what hinders an answer.

    `led` are groups that were led to an exposed image: all of theirs may be asleep now, and the next one be exposed.
    """

    at: datetime
    servers: tuple[str, ...]
    led: tuple[str, ...]
    asked: tuple[Server, ...]
    unreported: tuple[str, ...]
    gaps: tuple[str, ...]


def still_exposed(project: Project, groups: Iterable[str], before: Iterable[Digest], fixes: Iterable[Fix]) -> Exposed:
    """Which servers of these groups run an image that lacks any of the fixes: one of those from before the patch, or
    any other, by its own bill. What cannot be seen or read is a gap."""
    seen, wanted, known = running(project), tuple(fixes), set(groups)
    asked = tuple(server for server in seen.servers if server.group in known)
    exposed, gaps = set(before), list(seen.gaps)
    for image in sorted({server.image for server in asked} - exposed):
        try:
            bom = bill_of(wiring.images(project).get(image))
        except Problem as problem:
            gaps.append(f"what is in the image {short(image)}: {problem.what}")
        else:
            if any(open_in(fix, bom) for fix in wanted):
                exposed.add(image)
    names = tuple(sorted(server.name for server in asked if server.image in exposed))
    listed = {server.name for server in (*seen.servers, *seen.missed)}
    with current(project, _quiet) as (index, _):
        unreported = tuple(life.server for life in alive(index, project.name) if life.server not in listed)
    gaps += [f"{name} is in the journal, and no provider lists it" for name in unreported]
    led = [goal for goal in recorded_goals(project) if goal.group.count and goal.group.name in known]
    groups = tuple(goal.group.name for goal in led if goal.generation.image in exposed)
    return Exposed(seen.at, names, groups, asked, unreported, tuple(gaps))


def prove(project: Project, patch: Patch, asked: Exposed, version: str) -> tuple[Path, Proof]:
    """Write the proof of a patch that `asked` closes, signed by the project's key. Raises `Problem`."""
    ended = tuple(_ended(fix) for fix in patch.fixes)
    servers = tuple(_moved(project, patch, asked))
    images = sorted({server.image for server in asked.asked})
    proof = Proof(
        project=project.name,
        groups=patch.groups,
        patch=patch.id,
        by=patch.by,
        bluestone=version,
        verdict=patch.verdict,
        closed=utc_now(),
        ended=ended,
        feeds=tuple(Feed(f.name, f.digest, f.date, f.verified, f.trouble) for f in patch.feeds),
        before=tuple(_bills(project, image) for image in patch.before),
        after=tuple(_bills(project, image) for image in images),
        servers=servers,
        query=Query(asked.at, len(asked.asked), asked.servers, asked.unreported),
        from_verdict=proofs.from_verdict(patch.verdict, servers),
        from_fix=proofs.from_fix(ended, servers),
    )
    if wrong := list(proofs.contradictions(proof)):
        raise Problem(f"the patch cannot be proved: {'; '.join(wrong)}", mend="run `bluestone patch` again")
    file = project.state / DIRECTORY / f"{patch.id}{SUFFIX}"
    private_directory(file.parent)
    write_atomically(file, seal_by_project(project, proofs.statement(proof)))
    return file, proof


def _moved(project: Project, patch: Patch, asked: Exposed) -> Iterator[Moved]:
    """Each server that was exposed since the verdict, and what is in its slot now."""
    with current(project, _quiet) as (index, _):
        lives = [
            life for life in lived_on(index, project.name, patch.before, patch.verdict) if life.group in patch.groups
        ]
    gone = [life for life in lives if life.ended is not None]  # Of others the answer says that they are there still.
    detached = project.journal.newest(("server.detached",), [life.server for life in gone])
    followers = successors([life.server for life in gone], [server.name for server in asked.asked])
    images = {server.name: str(server.image) for server in asked.asked}
    for life in gone:
        assert life.ended is not None
        after, told = followers.get(life.server, ""), detached.get(life.server, {}).get("server.detached")
        yield Moved(life.server, life.image, after, images.get(after, ""), told.at if told else None, life.ended)


def successors(before: Iterable[str], now: Iterable[str]) -> dict[str, str]:
    """Which server of now took the place of each of before: that in its slot; else one in a slot that none of before
    had, in the order of slots."""
    by_slot = {slot_name(name): name for name in now}
    old = list(before)
    found = {name: by_slot[slot_name(name)] for name in old if slot_name(name) in by_slot}
    free: dict[str, list[str]] = {}
    for name in sorted(set(by_slot.values()) - set(found.values()), key=_place):
        free.setdefault(_place(name)[0], []).append(name)
    for name in sorted((name for name in old if name not in found), key=_place):
        if waiting := free.get(_place(name)[0]):
            found[name] = waiting.pop(0)
    return found


def _place(server: str) -> tuple[str, int]:
    """A server's group and the number of its slot."""
    group, _, slot = slot_name(server).rpartition("-")
    return group, int(slot)


def _ended(fix: Fix) -> Ended:
    return Ended(fix.key, fix.installed, fix.advisories, fix.since, fix.due, fix.triage)


def _bills(project: Project, image: Digest) -> Bills:
    return Bills(image, digests(wiring.images(project).get(image)))


def _quiet(_: str) -> None:
    """Say nothing: it takes a moment."""
