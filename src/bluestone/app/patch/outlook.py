"""How things stand between fixes and servers: what is known, what is to be fixed where, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bluestone.app.fleet.heal import recorded_goals
from bluestone.app.fleet.rollout import utc_now
from bluestone.app.image.lock import Progress
from bluestone.app.patch.bumps import bumps
from bluestone.app.patch.exposures import board
from bluestone.app.project import Project
from bluestone.app.running import running
from bluestone.declaration.moments import zone
from bluestone.model.exposure import Assessment, Exposure, FeedState
from bluestone.model.group import Group
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem
from bluestone.patch import policy
from bluestone.patch.bumps import Bump
from bluestone.patch.loop import Fix, Phase, Scope, fixes, next_phase
from bluestone.patch.policy import Permission

BEGAN, STOPPED, CLOSED, REOPENED = "patch.began", "patch.stopped", "patch.closed", "patch.reopened"


class Patch(Struct, frozen=True):
    """A patch that was begun and has not ended: when, what it fixes and by what it was known, which groups it may
    touch (and for which advisory), and the images that are exposed. `image` is what servers are to be moved to, None as
    long as it is not built and compared."""

    id: str
    verdict: datetime
    by: str
    groups: tuple[str, ...]
    advisory: str | None
    fixes: tuple[Fix, ...]
    feeds: tuple[FeedState, ...]
    before: tuple[Digest, ...]
    image: Digest | None = None


class Outlook(Struct, frozen=True):
    """How things stand: what is known, what is to be fixed and on which servers, and what comes next and why.

    `by_hand` are fixes that a patch cannot bring, as they are of what an application brings along; `bumps` the pinned
    versions in files of the declaration that would end exposures.
    """

    assessment: Assessment
    fixes: tuple[Fix, ...]
    by_hand: tuple[Fix, ...]
    bumps: tuple[Bump, ...]
    servers: tuple[str, ...]
    groups: tuple[str, ...]
    phase: Phase
    why: str
    permission: Permission
    begun: Patch | None = None


def look(project: Project, target: str | None, progress: Progress, *, by_hand: bool = True) -> Outlook:
    """What running servers are exposed to, and what comes next. Changes nothing.

    `target` is a group or an advisory; None for everything. Raises `Problem` for one that is neither.
    """
    begun = open_patch(project)
    assessment = board(project, progress, older=timedelta(0)).assessment
    seen = running(project)
    assessment = replace(assessment, gaps=(*assessment.gaps, *seen.gaps))
    groups = {goal.group.name: goal.group for goal in recorded_goals(project)}
    runs: dict[Digest, list[Group]] = {}
    for server in seen.servers:
        group = groups.get(server.group)
        if group is not None and group not in runs.setdefault(server.image, []):
            runs[server.image].append(group)
    declared, now = project.declaration.patch, utc_now()
    exposures = assessment.exposures
    scope = _scope(project, target, groups.values(), exposures)
    wanted = fixes(exposures, declared, runs, scope, now)
    touched = {group.name for group in scope.groups}
    to_bump = bumps(project, exposures)
    here = tuple(fix for fix in wanted if fix.ecosystem == "deb" or _is_raised(fix, to_bump))
    images = {image for fix in here for image in fix.images}
    servers = tuple(sorted(s.name for s in seen.servers if s.image in images and s.group in touched))
    urgent = {urgency for fix in here for urgency in fix.urgent}
    permission = policy.may_begin(declared, urgent, now, zone(declared.time_zone), by_hand=by_hand)
    mine = begun is not None and set(begun.groups) <= touched
    phase, why = next_phase(exposed=servers, begun=mine, prepared=False, permission=permission)
    return Outlook(
        assessment=assessment,
        fixes=here,
        by_hand=tuple(fix for fix in wanted if fix not in here),
        bumps=to_bump,
        servers=servers,
        groups=tuple(sorted(touched)),
        phase=phase,
        why=why,
        permission=permission,
        begun=begun if mine else None,
    )


def open_patch(project: Project) -> Patch | None:
    """The patch that was begun last, if it has not ended."""
    last = project.journal.last((BEGAN, STOPPED, CLOSED))
    if last is None or last.kind != BEGAN:
        return None
    patch = msgspec.convert(last.data, Patch)
    compared = project.journal.last(("patch.compared",))
    if compared is not None and compared.sequence > last.sequence:
        patch = replace(patch, image=Digest(compared.data["image"]))
    return patch


def _scope(project: Project, target: str | None, groups: Iterable[Group], exposures: Iterable[Exposure]) -> Scope:
    known = tuple(groups)
    if target is None:
        return Scope(known)
    if target in {group.name for group in (*known, *project.groups)}:
        return Scope(tuple(group for group in known if group.name == target))
    names = {name.lower() for each in exposures for name in each.advisory.names}
    if target.lower() not in names:
        raise Problem(
            f"{target} is no group, and no advisory that servers are exposed to",
            mend=f"groups: {', '.join(group.name for group in known) or 'none'}; advisories: bluestone patch --plan",
        )
    return Scope(known, target)


def _is_raised(fix: Fix, found: Iterable[Bump]) -> bool:
    return any(
        bump.raises and not bump.rebuilds and (bump.ecosystem, bump.name) == (fix.ecosystem, fix.package)
        for bump in found
    )
