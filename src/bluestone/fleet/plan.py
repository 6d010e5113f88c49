"""Desired x observed x now -> what to do: the heart of bluestone. Pure.

`plan` says only what to do *now*. What follows is planned after the next observation, so a crash, a lost
answer or a server that dies needs no special path: the next plan starts from what is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from bluestone.fleet import safety
from bluestone.fleet.standing import View, view
from bluestone.fleet.strategies import blue_green, destroy_first, rolling, steps
from bluestone.model.action import PAST, Action, Detach, Dismiss
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group, StrategyName
from bluestone.model.ids import Digest
from bluestone.model.inventory import Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import CameUp, Died, Fact, Goal, Halted, Plan, Progress, Settled, WentDown


@dataclass(frozen=True)
class Strategy:
    """How servers are replaced: what to do now, and how many must serve throughout."""

    next_steps: Callable[[View, Iterator[int]], list[Action]]
    floor: Callable[[View], int]


STRATEGIES: dict[StrategyName, Strategy] = {
    "blue-green": Strategy(blue_green.next_steps, blue_green.floor),
    "rolling": Strategy(rolling.next_steps, rolling.floor),
    "destroy-first": Strategy(destroy_first.next_steps, destroy_first.floor),
}

MAX_FAILURES = 3
"""How many failed actions in a row stop a group's rollout."""

MIN_DEATHS = 3
"""How many deaths during one rollout stop it, for a small group; a larger one may lose its count."""


def plan(goals: Sequence[Goal], inventory: Inventory, memory: Memory) -> Plan:
    """What to do now to come nearer to `goals`. `inventory.at` is the time; nothing else is read.

    With an incomplete view nothing is done: what was not seen can neither be replaced nor counted.
    """
    everything = [*goals, *_undeclared(goals, inventory)]
    if not inventory.complete:
        waiting = tuple(f"cannot see: {gap}" for gap in inventory.gaps)
        return Plan(progress=tuple(Progress(g.group.name, "working", 0, 0, waiting) for g in everything))
    numbers = count(memory.next_incarnation)
    parts = [_plan_group(goal, inventory, memory, numbers) for goal in everything]
    strays = tuple(_forget_ghosts(inventory))
    return Plan(
        actions=strays + tuple(action for part in parts for action in part.actions),
        facts=tuple(fact for part in parts for fact in part.facts),
        progress=tuple(progress for part in parts for progress in part.progress),
    )


def _plan_group(goal: Goal, inventory: Inventory, memory: Memory, numbers: Iterator[int]) -> Plan:
    facts = _findings(view(goal, inventory, memory))
    memory = remember(memory, facts, inventory)
    seen = view(goal, inventory, memory)
    strategy = STRATEGIES[goal.group.rollout.strategy]
    wanted = _bury(seen) + (_clean_up(seen) if seen.halted else strategy.next_steps(seen, numbers))
    actions, refusals = safety.permit(wanted, seen, strategy.floor(seen))
    return Plan(actions, facts, (_progress(seen, actions, refusals),))


def _findings(seen: View) -> tuple[Fact, ...]:
    """What this observation shows for the first time."""
    group, memory = seen.goal.group, seen.memory
    facts: list[Fact] = []
    for m in seen.members:
        down_since = memory.down_since.get(m.name)
        if m.server.phase == "dead" and m.name not in memory.died | memory.condemned:
            facts.append(Died(group.name, m.name, m.server.detail or "it ended by itself"))
        elif m.stance == "down" and down_since is None:
            facts.append(WentDown(group.name, m.name, "it fails its health check"))
        elif m.stance == "down" and down_since and seen.at >= down_since + group.rollout.progress:
            facts.append(Died(group.name, m.name, f"it failed its health check for {group.rollout.progress}"))
        elif m.stance == "serving" and down_since is not None:
            facts.append(CameUp(group.name, m.name, "it passes its health check again"))
    if group.count and group.name not in memory.settled_at and _all_new_serve(seen):
        facts.append(Settled(group.name, f"all {group.count} servers of the generation serve"))
    if not seen.halted and (halt := _why_halt(seen, sum(isinstance(fact, Died) for fact in facts))):
        facts.append(halt)
    return tuple(facts)


def _why_halt(seen: View, fresh_deaths: int) -> Halted | None:
    group, memory = seen.goal.group, seen.memory
    failures = memory.failures.get(group.name)
    if failures and failures.count >= MAX_FAILURES:
        return Halted(group.name, f"acting failed {failures.count} times in a row: {failures.error}")
    deaths = memory.deaths.get(group.name, 0) + fresh_deaths
    if deaths >= max(MIN_DEATHS, group.count):
        last = next((m.name for m in reversed(seen.members) if m.server.phase == "dead"), "")
        return Halted(group.name, f"{deaths} servers died during this rollout", last)
    unwanted = steps.surplus(seen)
    for m in seen.new:
        # A server that is kept for a rollback is as old as it is, but has its time from the rollback's beginning.
        began = max(m.server.created_at, memory.started_at.get(group.name, m.server.created_at))
        if m.stance == "booting" and not m.pending and m not in unwanted and seen.at >= began + group.rollout.progress:
            why = f"{m.name} was not healthy within {group.rollout.progress.total_seconds():g} s"
            return Halted(group.name, why, m.name)
    return None


def remember(memory: Memory, facts: Sequence[Fact], inventory: Inventory) -> Memory:
    """The memory as it will be once these facts are in the journal."""
    for fact in facts:
        if isinstance(fact, Died):
            memory = replace(memory, died=memory.died | {fact.server})
        elif isinstance(fact, Settled):
            memory = replace(memory, settled_at={**memory.settled_at, fact.group: inventory.at})
        elif isinstance(fact, Halted):
            memory = replace(memory, halted={**memory.halted, fact.group: fact.reason})
    return memory


def _bury(seen: View) -> list[Action]:
    dead = [m for m in seen.members if m.stance == "dead"]
    return steps.retire(seen, dead, "it is dead")


def _clean_up(seen: View) -> list[Action]:
    """After a halt: what never served is removed; whatever serves is left as it is."""
    idle = [m for m in seen.new if m.stance in ("booting", "ready", "draining", "drained")]
    return steps.retire(seen, idle, "its rollout was stopped before it served")


def _progress(seen: View, actions: Sequence[Action], refusals: Sequence[safety.Refusal]) -> Progress:
    group = seen.goal.group
    name, serving, total = group.name, len(seen.serving), len(seen.members)
    if seen.halted and not actions and not any(m.pending for m in seen.members):
        return Progress(name, "halted", serving, total, (seen.memory.halted[name],))
    arrived = _all_new_serve(seen) and len(seen.members) == group.count
    if arrived and not actions and not any(m.pending for m in seen.members):
        return Progress(name, "done", serving, total)
    return Progress(name, "working", serving, total, tuple(_waiting(seen, refusals)))


def _waiting(seen: View, refusals: Sequence[safety.Refusal]) -> Iterator[str]:
    for m in seen.members:
        sessions = m.backend.sessions if m.backend else 0
        if m.pending:
            yield f"{m.name}: an action is under way"
        elif m.stance == "booting":
            yield f"{m.name}: not healthy yet"
        elif m.stance == "draining":
            yield f"{m.name}: {sessions} sessions to drain"
        elif m.stance == "down":
            yield f"{m.name}: fails its health check"
        elif m.stance == "leaving":
            yield f"{m.name}: stopping"
    for refusal in refusals:
        yield f"{refusal.action.server}: not {PAST[refusal.action.verb]}, as {refusal.why}"
    settled = seen.memory.settled_at.get(seen.goal.group.name)
    if settled and seen.old and blue_green.kept_until_settled(seen):
        until = settled + seen.goal.group.rollout.keep
        yield f"the old servers are kept for a rollback until {until:%H:%M:%S} UTC"


def _all_new_serve(seen: View) -> bool:
    return sum(m.stance == "serving" for m in seen.new) == seen.goal.group.count == len(seen.new)


def _undeclared(goals: Sequence[Goal], inventory: Inventory) -> list[Goal]:
    """Goals of no servers for groups that exist but that nobody declares any more."""
    known = {goal.group.name for goal in goals}
    found = sorted({server.group for server in inventory.servers} - known)
    nothing = Digest("sha256:" + "0" * 64)
    return [Goal(Group(name, count=0), Generation(name, 0, nothing, ServerConfig(""))) for name in found]


def _forget_ghosts(inventory: Inventory) -> Iterator[Action]:
    """Backends whose server does not exist any more."""
    alive = {server.name for server in inventory.servers}
    for backend in inventory.backends:
        if backend.server in alive or backend.server in inventory.pending:
            continue
        reason = "its server does not exist any more"
        if backend.admission == "attached":
            yield Detach(backend.group, backend.server, reason)
        else:
            yield Dismiss(backend.group, backend.server, reason, sever=True)
