"""`volumes`: what slots keep when their servers are replaced, and the only way to destroy it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime

from bluestone.app import wiring
from bluestone.app.fleet.lead import lead
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.provider import Provider
from bluestone.hours.storage import DESTROYED
from bluestone.model.problem import Problem
from bluestone.model.volume import Volume


def list_volumes(project: Project) -> list[Volume]:
    """Every volume of the project, also of groups that are declared no more. Raises `Problem`."""
    return [volume for provider in _providers(project) for volume in provider.list_volumes()]


def find(project: Project, names: Sequence[str]) -> list[Volume]:
    """The volumes of these names. Raises `Problem` for one that there is not, or that a server holds."""
    known = {volume.name: volume for volume in list_volumes(project)}
    for name in names:
        if name not in known:
            choices = ", ".join(known) or "there is none"
            raise Problem(f'no volume is called "{name}"', mend=f"choices: {choices}", left="no volume was destroyed")
        if holder := known[name].server:
            raise Problem(
                f"the volume {name} is on {holder}",
                mend="declare fewer servers, or none, and run `bluestone up`; or `bluestone down`",
                left="no volume was destroyed",
            )
    return [known[name] for name in dict.fromkeys(names)]


def remove(project: Project, names: Sequence[str]) -> None:
    """Destroy volumes and their data. Raises `Problem`, with none destroyed, if one is held or somebody acts now."""
    with lead(project):
        for volume in find(project, names):
            for provider in _providers(project):
                provider.remove_volume(volume.name)
            text = f"{volume.name}: asked for by a person"
            entry = Entry(DESTROYED, volume.group, message=text, data={"volume": volume.name})
            project.journal.record(datetime.now(UTC), [entry])


def _providers(project: Project) -> list[Provider]:
    """Where volumes may be: a group that is declared no more may have left some with any provider of this machine."""
    here = {name for name, program in wiring.TOOL.items() if shutil.which(program)}
    declared = {group.provider for group in (*project.groups, *project.journal.declared())}
    return list(wiring.providers(project, here | declared | project.journal.providers()).values())
