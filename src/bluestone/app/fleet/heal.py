"""Where a project was last led to: what a daemon keeps it at, whatever stands in the file meanwhile.

A changed declaration is applied by `up` alone. So the goals are those of the journal: the groups as they were last
declared, at the generation and count that their last rollout was begun for.
"""

from __future__ import annotations

from msgspec.structs import replace

from bluestone.app.fleet.goals import as_it_ran, fallback, number_of
from bluestone.app.fleet.rollout import Site
from bluestone.app.project import Project
from bluestone.model.group import Group
from bluestone.model.plan import Goal


def recorded_goals(project: Project) -> list[Goal]:
    """The groups as they were last led somewhere; none for a project whose servers were never asked for."""
    return [goal for group in project.journal.declared() if (goal := _recorded(project, group))]


def is_empty(goals: list[Goal]) -> bool:
    """Whether these goals ask for no servers at all."""
    return not any(goal.group.count for goal in goals)


def anything_left(site: Site) -> bool:
    """Whether something still runs of a project that is to have no servers: `down` was interrupted."""
    inventory = site.controller.look()
    return bool(inventory.servers or inventory.gaps) or site.balancer.is_running() or site.receiver.answers()


def _recorded(project: Project, group: Group) -> Goal | None:
    begun = project.journal.last(("rollout.started",), group=group.name)
    generation = project.journal.generation_number(group.name, number_of(begun)) if begun else None
    if begun is None or generation is None:
        return None
    led = replace(as_it_ran(group, generation), count=int(begun.data.get("count", group.count)))
    # What the rollout may go back to by itself, if it began with a way back and that still stands.
    return Goal(led, generation, fallback(project, generation, int(begun.data.get("fallback", 0))))
