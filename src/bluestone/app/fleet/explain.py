"""`explain`: why is this server here, why was that one destroyed, what is this plan, what is this event."""

from __future__ import annotations

import re
from contextlib import closing
from difflib import get_close_matches
from typing import get_args

from msgspec import Struct

from bluestone.app.project import Project
from bluestone.fleet import story
from bluestone.fleet.controller.journal import Journal
from bluestone.fleet.forecast import Forecast
from bluestone.fleet.story import Story
from bluestone.model.action import PAST
from bluestone.model.event import Event
from bluestone.model.plan import Fact
from bluestone.model.problem import Problem, Problems

STARTED = ("rollout.started",)
_FACTS = tuple(fact.kind for fact in get_args(Fact))
_OF_GROUPS = (*_FACTS, "rollout.finished", "group.paused", "group.resumed")
_STEPS = tuple(f"server.{word}" for pair in PAST.items() for word in pair)
_ALL = tuple(dict.fromkeys((*_OF_GROUPS, *_STEPS, "server.tainted", "action.failed", "action.refused", "action.lost")))
"""The kinds of events of groups, and of groups and servers."""

LAST_WORDS = 5
"""How many of a server's log lines belong to its story; `bluestone logs` has all of them."""

KNOWN = 20_000
"""How many of the newest servers' names are looked through for one like that which was asked for."""


class Explanation(Struct, frozen=True):
    """A story from the journal; or, for the plan that `up` would carry out now, its forecast."""

    stories: tuple[Story, ...]
    forecast: Forecast | None = None


def explain(project: Project, target: str) -> Explanation:
    """What is known of a server (also one that is long gone), a plan's id, or an event's number.

    Raises `Problem` for a name that nothing has had.
    """
    journal = project.journal
    if events := journal.select(_ALL, server=target):
        return Explanation((_server(project, target, events[::-1]),))
    if re.fullmatch("[0-9a-f]{12}", target) and (found := _plan(project, target)):
        return found
    if target.isdecimal() and len(target) < 19 and (story_of := _event(journal, int(target))):
        return Explanation((story_of,))
    raise _unknown(project, target)


def _server(project: Project, name: str, events: list[Event]) -> Story:
    group = next((event.group for event in events if event.group), "")
    rollouts = project.journal.select(STARTED, group=group)[::-1] if group else []
    gone = any(event.kind == "server.destroyed" for event in events)
    return story.of_server(name, events, rollouts, "" if gone else _now(project, name), _said(project, name))


def _said(project: Project, name: str) -> list[str]:
    """The last lines that a server wrote, as far as there are any."""
    from bluestone.logs.query.archive import Archive

    with closing(Archive(project.logs)) as archive:
        found = archive.last_lines(name, LAST_WORDS)
    return [f"{record.at:%Y-%m-%d %H:%M:%S} {record.unit}: {record.message}" for record in found]


def _now(project: Project, name: str) -> str:
    """How the server stands now, as far as that can be seen."""
    from bluestone.app.fleet.status import status

    try:
        found = status(project)
    except (Problem, Problems) as problem:
        return f"not to be seen now: {getattr(problem, 'what', problem)}"
    server = next((server for server in found.servers if server.name == name), None)
    if server is not None:
        why = f", {server.detail}" if server.detail else ""
        return f"{server.stance} now{why}"
    return f"not to be seen now: {'; '.join(found.gaps)}" if found.gaps else "not there: no provider lists it"


def _plan(project: Project, plan: str) -> Explanation | None:
    """The rollouts that a plan began; or the plan that there is now, if that is its id."""
    journal = project.journal
    begun = [event for event in journal.select(STARTED)[::-1] if event.data.get("plan") == plan]
    if begun:
        return Explanation(tuple(_rollout(journal, plan, event) for event in begun))
    from bluestone.app.fleet.up import intend

    forecast = intend(project).forecast
    return Explanation((), forecast) if forecast.id == plan else None


def _rollout(journal: Journal, plan: str, started: Event) -> Story:
    events = journal.select(_ALL, group=started.group, after=started.sequence)[::-1]
    return story.of_plan(plan, started, events)


def _event(journal: Journal, number: int) -> Story | None:
    found = journal.events(after=number - 1)[:1] if 0 < number <= journal.head().sequence else []
    if not found:
        return None
    event = found[0]
    around: list[Event] = []
    if event.server:
        around = journal.select(_ALL, server=event.server)[::-1]
    elif event.group:
        around = journal.select(_OF_GROUPS, group=event.group)[::-1]
    before = [e for e in journal.select(STARTED, group=event.group) if e.sequence < number] if event.group else []
    return story.of_event(event, around, before[0] if before else None)


def _unknown(project: Project, target: str) -> Problem:
    servers = {event.server for event in project.journal.select(("server.create",), newest=KNOWN)}
    plans = {str(event.data["plan"]) for event in project.journal.select(STARTED) if "plan" in event.data}
    near = get_close_matches(target, sorted(servers | plans), n=3, cutoff=0.7)
    mend = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "see `bluestone servers`, `bluestone events`, `bluestone plan`"
    )
    if target.isdecimal():
        mend = f"the journal's events go up to {project.journal.head().sequence}"
    return Problem(f'no server, plan or event is called "{target}", nor ever was', mend=mend)
