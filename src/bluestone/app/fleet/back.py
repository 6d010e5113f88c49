"""`rollback` and `down`: to the generation before, and to nothing. Whoever calls them leads the project alone."""

from __future__ import annotations

from collections.abc import Sequence

from bluestone.app import wiring
from bluestone.app.fleet.goals import no_servers, previous_goals
from bluestone.app.fleet.rollout import Notify, Site, Watch
from bluestone.app.fleet.up import Arrival
from bluestone.app.image.provenance import require_signed
from bluestone.app.project import Project
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem


def rollback(project: Project, groups: Sequence[str], *, notify: Notify, watch: Watch) -> Arrival:
    """Lead groups (all, if none is named) back to the generation that served before the current one.

    The declaration is not changed: `up` leads forward again. Raises `Problem` if there is no way back.
    """
    names = groups or [group.name for group in project.groups]
    goals = previous_goals(project, names)
    for goal in goals:
        _check_image(project, goal)
    site = Site(project, goals, notify)
    site.prepare()
    forecast = site.forecast()
    if not forecast.steps and site.is_led():
        return Arrival(changed=False)
    from bluestone.app.patch.patch import reopen

    reopen(project, goals, notify)
    return Arrival(changed=True, failures=tuple(site.lead(watch, forecast.id)))


def down(project: Project, *, notify: Notify, watch: Watch) -> Arrival:
    """Drain and destroy every server, then stop the balancer and the receiver of log lines."""
    site = Site(project, no_servers(project), notify)
    inventory, _ = site.look()
    changed = bool(inventory.servers) or site.balancer.is_running()
    if inventory.gaps:
        wiring.require_tools(project, building=False)
        raise Problem(
            f"not everything can be seen: {'; '.join(inventory.gaps)}",
            mend="mend that and run `bluestone down` again",
            left="nothing was destroyed",
        )
    failures = site.lead(watch) if inventory.servers or inventory.backends else []
    if not failures:
        site.tear_down()
    return Arrival(changed, tuple(failures))


def _check_image(project: Project, goal: Goal) -> None:
    """Raise `Problem` if servers cannot be started of the image to go back to."""
    store = wiring.images(project)
    store.require_sound(goal.generation.image)
    require_signed(project, store.get(goal.generation.image))
