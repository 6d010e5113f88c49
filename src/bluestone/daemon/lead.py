"""Whoever leads a project does the work: its daemon where one runs, else this process itself, with the same results.

What asking a daemon needs is loaded where it is asked: most often there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bluestone.app.fleet import back
from bluestone.app.fleet import up as forward
from bluestone.app.fleet.lead import lead
from bluestone.app.fleet.rollout import Notify, tell_nobody
from bluestone.app.fleet.up import Arrival
from bluestone.app.image.lock import Progress
from bluestone.app.project import Project
from bluestone.daemon import presence
from bluestone.fleet.controller.controller import Tick
from bluestone.fleet.controller.lock import hold

if TYPE_CHECKING:
    from bluestone.app.patch.outlook import Outlook
    from bluestone.daemon.client import Watch


def up(
    project: Project,
    plan_id: str | None,
    *,
    exact: bool,
    take_over: bool = False,
    notify: Notify,
    watch: Watch,
    progress: Progress,
) -> Arrival:
    """As `app.up.up`, and `app.lead.lead`. An image is built here in any case: a daemon keeps the fleet meanwhile."""
    if presence.find(project) is None:
        if any(group.hours for group in project.groups):
            progress("nobody keeps the groups' hours after this: that is the work of `bluestone serve`")
        with lead(project, take_over=take_over):
            return forward.up(project, plan_id, exact=exact, notify=notify, watch=_of_ticks(watch), progress=progress)
    if plan_id is not None:
        now = forward.check_plan(project, plan_id)
        # The plan names what is not built yet by its inputs, and will have another id when it is.
        plan_id = None if now.builds or now.locks else plan_id
    forward.build(project, progress, exact=exact)
    from bluestone.daemon import client

    return client.command(
        project,
        "up",
        plan_id=plan_id,
        exact=exact,
        take_over=take_over,
        notify=notify,
        watch=watch,
        progress=progress,
    )


def patch(
    project: Project, target: str | None, *, take_over: bool = False, notify: Notify, watch: Watch, progress: Progress
) -> tuple[Outlook, Arrival]:
    """As `app.patch.prepare` and `carry_out`, and `app.lead.lead`. An image is built here in any case.

    What comes back is what there was to be done, and what was.
    """
    from bluestone.app.patch import patch as patching

    found = patching.prepare(project, target, notify=notify, progress=progress)
    if found.phase in ("rest", "wait"):
        return found, Arrival(changed=False)
    if presence.find(project) is None:
        with lead(project, take_over=take_over):
            arrival = patching.carry_out(project, notify=notify, watch=_of_ticks(watch), progress=progress)
    else:
        from bluestone.daemon import client

        arrival = client.command(project, "patch", take_over=take_over, notify=notify, watch=watch, progress=progress)
    return found, arrival


def rollback(
    project: Project, groups: tuple[str, ...], *, take_over: bool = False, notify: Notify, watch: Watch
) -> Arrival:
    """As `app.back.rollback`, and `app.lead.lead`."""
    if presence.find(project) is None:
        with lead(project, take_over=take_over):
            return back.rollback(project, groups, notify=notify, watch=_of_ticks(watch))
    from bluestone.daemon import client

    return client.command(
        project, "rollback", groups=groups, take_over=take_over, notify=notify, watch=watch, progress=tell_nobody
    )


def down(project: Project, *, take_over: bool = False, notify: Notify, watch: Watch) -> Arrival:
    """As `app.back.down`, and `app.lead.lead`. A daemon then waits for the next `up`."""
    if presence.find(project) is None:
        with lead(project, take_over=take_over):
            return back.down(project, notify=notify, watch=_of_ticks(watch))
    from bluestone.daemon import client

    return client.command(project, "down", take_over=take_over, notify=notify, watch=watch, progress=tell_nobody)


@contextmanager
def alone(project: Project) -> Iterator[None]:
    """Nobody on this machine acts on the project meanwhile: neither its daemon nor another command.

    Raises `Problem` if one does.
    """
    if presence.find(project) is None:
        with hold(project.lock_file):
            yield
    else:
        from bluestone.daemon import client

        with client.stood_by(project):
            yield


def _of_ticks(watch: Watch) -> Callable[[Tick], None]:
    return lambda tick: watch(tick.plan.progress)
