"""`drift`: what differs from its image, what is there that nobody declared, and healing both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app import remembered, wiring
from bluestone.app.fleet.heal import recorded_goals
from bluestone.app.fleet.lead import lead
from bluestone.app.fleet.rollout import Notify, Site, Watch, tell_nobody, utc_now, watcher_of
from bluestone.app.fleet.status import status
from bluestone.app.fleet.strays import Stray, left_servers
from bluestone.app.fleet.up import Arrival
from bluestone.app.project import Project
from bluestone.fleet.controller.act import STOP_GRACE
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.strays import Register
from bluestone.fleet.controller.watcher import PERIOD, Report, Watcher
from bluestone.model.group import Group
from bluestone.model.problem import Problem, Problems
from bluestone.model.server import Server

WHY_REMOVED = "nobody declared it"

SHORTEST = 1.0
"""Seconds between two looks at least."""

Hints = Callable[[Callable[[], None], Event], None]


class Findings(Struct, frozen=True):
    """What `drift` found."""

    report: Report
    strays: tuple[Stray, ...]

    @property
    def any(self) -> bool:
        """Whether something is not as it should be."""
        return self.report.drifted or bool(self.strays)


def find(project: Project, target: str | None = None, *, notify: Notify = tell_nobody) -> Findings:
    """Look at all servers, or at those of a group or one alone; write what is new to the journal.

    Raises `Problem` if nothing can be looked at, or for a target that there is not.
    """
    groups = policies(project)
    now = status(project)
    servers = {server.name: server.group for server in now.servers}
    if target is not None and target not in servers and target not in groups:
        known = [*groups, *sorted(servers)]
        raise Problem(f'no group and no server is called "{target}"', mend=f"choices: {', '.join(known) or 'none yet'}")
    chosen = [group for group in groups.values() if target in (None, group.name, *_of(group, servers))]
    report = watcher(project, notify).look(chosen)
    if report.gaps and not report.servers:
        raise Problem(f"no server could be looked at: {'; '.join(report.gaps)}", mend="mend that, and look again")
    if target in servers:
        report = replace(report, servers=tuple(each for each in report.servers if each.server == target))
    return Findings(report, now.strays if target is None else ())


def replace_tainted(project: Project, *, notify: Notify, watch: Watch) -> Arrival:
    """Replace the tainted servers, by others of the generations that the groups were last led to.

    The declaration on the disk is not looked at: a change that nobody has asked for yet is not begun by this.
    """
    with lead(project):
        site = Site(project, recorded_goals(project), notify)
        site.prepare()
        if not site.forecast().steps:
            return Arrival(changed=False)
        return Arrival(changed=True, failures=tuple(site.lead(watch)))


def remove_strays(project: Project, *, notify: Notify) -> list[str]:
    """Destroy the servers that bluestone made and nobody declared; return their names.

    Raises `Problem` with an incomplete view, and for a server that the balancer still knows.
    """
    with lead(project):
        return _remove_strays(Site(project, recorded_goals(project), notify), notify)


def _remove_strays(site: Site, notify: Notify) -> list[str]:
    project, register = site.project, Register(site.project.journal)
    inventory = site.controller.look()
    if inventory.gaps:
        raise Problem(
            f"not everything can be seen: {'; '.join(inventory.gaps)}",
            mend="mend that and run the same again",
            left="nothing was removed",
        )
    found = left_servers(inventory, {group.name for group in project.groups}, register)
    busy = [server.name for server in found if inventory.backend(server.name)]
    if busy:
        raise Problem(
            f"the balancer still knows {', '.join(busy)}",
            mend="`bluestone up` drains them first, and then destroys them",
            left="nothing was removed",
        )

    def record(kind: str, server: Server, message: str = WHY_REMOVED) -> None:
        entry, now = Entry(kind, server.group, server.name, message, {"verb": "destroy"}), utc_now()
        project.journal.record(now, [entry])
        notify(now, entry)

    for server in found:
        project.journal.fence.may_act()
        record("server.destroy", server)
        try:
            for provider in site.providers.values():
                provider.destroy(server.name, STOP_GRACE)
        except Problem as problem:
            record("action.failed", server, f"destroy: {problem.what}")
            raise
        site.destroyed(server.name)
        record("server.destroyed", server)
    site.seal_last_words()
    for group in {server.group for server in found}:
        project.journal.forget_group(group)
    return [server.name for server in found]


def watch(project: Project, heard: Callable[[], None], ended: Event, hints: Sequence[Hints] = ()) -> None:
    """Look for drift until `ended` is set, every `PERIOD`; call `heard` when something new was written to the journal.

    `hints` are told by others that something may have happened: each is called in a thread of its own with a function
    to call then, and with `ended`. They cannot have it looked oftener than every `SHORTEST`. Raises `Problem`.
    """
    own = replace(project)  # with a journal of its own: this is a thread beside the one that leads
    due = Event()
    looking = watcher(own, lambda *_: heard())
    for hint in hints:
        Thread(target=_follow, args=(hint, due, ended), daemon=True).start()
    try:
        while not ended.is_set():
            due.clear()
            looking.look(policies(own, _declared_now(own)).values())
            ended.wait(SHORTEST)
            _wait_for_either(due, ended)
    finally:
        own.journal.close()


def _follow(hint: Hints, due: Event, ended: Event) -> None:
    """A hint that fails costs the time until the next look, and no more."""
    with suppress(Problem):
        hint(due.set, ended)


def _wait_for_either(due: Event, ended: Event) -> None:
    until = time.monotonic() + PERIOD.total_seconds()
    while not ended.is_set() and time.monotonic() < until and not due.wait(0.2):
        pass


def watcher(project: Project, notify: Notify) -> Watcher:
    """What looks for drift among all servers of a project."""
    names = {group.provider for group in project.groups} | project.journal.providers()
    return watcher_of(project, wiring.providers(project, names), notify)


def policies(project: Project, declared: Sequence[Group] | None = None) -> dict[str, Group]:
    """The groups by name as they are declared now, or were last: what follows from drift changes no server."""
    groups = {group.name: group for group in project.journal.declared()}
    return groups | {group.name: group for group in (project.groups if declared is None else declared)}


def _declared_now(project: Project) -> Sequence[Group]:
    """The groups in the file; as they were when it was last read, if that is not right at the moment."""
    try:
        return remembered.read(project.file, project.home).groups
    except (Problem, Problems):
        return project.groups


def _of(group: Group, servers: dict[str, str]) -> list[str]:
    return [name for name, of in servers.items() if of == group.name]
