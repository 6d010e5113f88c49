"""`pause` and `resume`: a person says that nothing is to be done, and later that it is."""

from __future__ import annotations

from collections.abc import Sequence

from bluestone.app.fleet.rollout import utc_now
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry
from bluestone.model.problem import Problem


def pause(project: Project, groups: Sequence[str], why: str) -> str:
    """Have nothing done to groups (to everything, if none is named) until `resume`; return what was recorded.

    It needs no lock: whoever acts on the project reads it before the next step. What has begun is finished.
    Raises `Problem` for a group that is unknown.
    """
    text = f"paused by {project.caller.name}{f': {why}' if why else ''}; `bluestone resume` goes on"
    _record(project, groups, "paused", text)
    return text


def resume(project: Project, groups: Sequence[str]) -> str:
    """End pauses, of groups or of everything; return what was recorded.

    A generation of a named group that failed may be tried again, and canaries that nothing is known against pass.
    Raises `Problem` for a group that is unknown.
    """
    text = f"resumed by {project.caller.name}"
    entries = _record(project, groups, "resumed", text)
    canaries = [found for entry in entries if entry.group and (found := _undecided(project, entry.group, text))]
    project.journal.record(utc_now(), canaries)
    return text


def _record(project: Project, groups: Sequence[str], what: str, text: str) -> list[Entry]:
    known = {group.name for group in project.groups} | {group.name for group in project.journal.declared()}
    for name in groups:
        if name not in known:
            raise Problem(f'no group is called "{name}"', mend=f"choices: {', '.join(sorted(known))}")
    entries = [Entry(f"group.{what}", name, message=text) for name in groups] or [Entry(f"fleet.{what}", message=text)]
    project.journal.record(utc_now(), entries)
    return entries


def _undecided(project: Project, group: str, text: str) -> Entry | None:
    """That the canaries pass which a group is held for, if it is."""
    began = project.journal.last(("canary.began",), group=group)
    held = project.journal.last(("rollout.paused",), group=group)
    if began is None or held is None or held.sequence < began.sequence:
        return None
    generation = began.data["generation"]
    if held.data.get("generation") != generation:
        return None
    return Entry("canary.passed", group, message=text, data={"generation": generation})
