"""Desired x observed x now -> what to do: the heart of bluestone. Pure.

`plan` says only what to do *now*. What follows is planned after the next observation, so a crash, a lost
answer or a server that dies needs no special path: the next plan starts from what is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from bluestone.fleet import safety
from bluestone.fleet.budget import Budget, budget
from bluestone.fleet.findings import Hold, all_new_serve, findings, hold, way_back
from bluestone.fleet.remember import remember
from bluestone.fleet.standing import View, quarantine, view
from bluestone.fleet.strategies import blue_green, rolling, steps
from bluestone.model.action import PAST, Action, Detach, Dismiss
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group, StrategyName
from bluestone.model.ids import Digest
from bluestone.model.inventory import Backend, Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal, Plan, Progress, Returned

NextSteps = Callable[[View, Budget, Iterator[int]], list[Action]]
"""How servers are replaced: what to do now, within a budget, with numbers for the names of new servers."""

STRATEGIES: dict[StrategyName, NextSteps] = {
    "blue-green": blue_green.next_steps,
    "rolling": rolling.next_steps,
    "destroy-first": rolling.next_steps,
}


def plan(goals: Sequence[Goal], inventory: Inventory, memory: Memory) -> Plan:
    """What to do now to come nearer to `goals`. `inventory.at` is the time; nothing else is read.

    With an incomplete view nothing is done: what was not seen can neither be replaced nor counted.
    """
    everything = with_undeclared(goals, inventory)
    if not inventory.complete:
        waiting = tuple(f"cannot see: {gap}" for gap in inventory.gaps)
        return Plan(progress=tuple(Progress(g.group.name, "working", 0, 0, waiting) for g in everything))
    numbers = count(memory.next_incarnation)
    parts = [_plan_group(goal, inventory, memory, numbers) for goal in everything]
    strays = () if memory.paused.get("") else _forget_ghosts(inventory, memory)
    return Plan(
        actions=(*strays, *[action for part in parts for action in part.actions]),
        facts=tuple([fact for part in parts for fact in part.facts]),
        progress=tuple([progress for part in parts for progress in part.progress]),
    )


def _plan_group(declared: Goal, inventory: Inventory, memory: Memory, numbers: Iterator[int]) -> Plan:
    goal = way_back(declared, memory)
    seen = view(goal, inventory, memory)
    facts = findings(seen)
    if facts:
        memory = remember(memory, facts, inventory.at)
    if goal is declared and (goal := way_back(declared, memory)) is not declared:
        back = _returned(declared, goal, memory)
        memory = remember(memory, [back], inventory.at)
        facts = (*facts, back)
    if facts:
        seen = view(goal, inventory, memory)
    held = hold(seen)
    allowance = budget(seen)
    if seen.paused:
        return Plan((), facts, (_progress(declared, seen, (), (), held),))
    # Beside a server that has volumes there can be no second one: such a group is rotated whatever is declared.
    strategy = rolling.next_steps if seen.pinned else STRATEGIES[goal.group.rollout.strategy]
    # Where no servers are wanted at all, what was stopped goes like anything else.
    stays = seen.halted and goal.group.count
    wanted = (
        _bury(seen)
        + steps.readmit(seen, allowance.floor)
        + (_clean_up(seen) if stays else strategy(seen, allowance, numbers))
    )
    if held.verbs:
        wanted = [action for action in wanted if action.verb not in held.verbs]
    actions, refusals = safety.permit(wanted, seen, allowance) if wanted else ((), ())
    return Plan(actions, facts, (_progress(declared, seen, actions, refusals, held),))


def _returned(declared: Goal, goal: Goal, memory: Memory) -> Returned:
    """The beginning of the way back."""
    number = declared.generation.number
    why = f"back to generation {goal.generation.number}, as generation {number} failed: {quarantine(declared, memory)}"
    return Returned(goal.group.name, why, goal.generation.number, goal.group.count, number)


def _bury(seen: View) -> list[Action]:
    return steps.retire(seen, seen.dead, "it is dead")


def _clean_up(seen: View) -> list[Action]:
    """After a halt: what never served is removed; whatever serves is left as it is."""
    idle = [m for m in seen.new if m.stance in ("booting", "ready", "draining", "drained")]
    return steps.retire(seen, idle, "its rollout was stopped before it served")


def _progress(
    declared: Goal, seen: View, actions: Sequence[Action], refusals: Sequence[safety.Refusal], held: Hold
) -> Progress:
    group = seen.goal.group
    name, serving, total = group.name, len(seen.serving), len(seen.members)
    if seen.paused:
        return Progress(name, "paused", serving, total, (seen.paused,))
    quiet = not actions and not any(m.pending for m in seen.unsettled)
    if quiet and seen.halted:
        return Progress(name, "halted", serving, total, (seen.halted,))
    if quiet and total == group.count and all_new_serve(seen):
        if seen.goal is declared:
            return Progress(name, "done", serving, total)
        failed = f"generation {declared.generation.number} failed: {quarantine(declared, seen.memory)}"
        return Progress(name, "returned", serving, total, (f"{failed}; it is back at generation {_number(seen)}",))
    if held.lasting and quiet:
        return Progress(name, "paused", serving, total, (held.reason,))
    return Progress(name, "working", serving, total, tuple(_waiting(seen, refusals, held)))


def _number(seen: View) -> int:
    return seen.goal.generation.number


def _waiting(seen: View, refusals: Sequence[safety.Refusal], held: Hold) -> Iterator[str]:
    if held.reason:
        yield held.reason
    for m in seen.unsettled:
        sessions = m.backend.sessions if m.backend else 0
        if m.pending:
            yield f"{m.name}: an action is under way"
        elif m.stance == "booting":
            yield f"{m.name}: not healthy yet"
        elif m.stance == "proving":
            yield f"{m.name}: serves, and counts after {seen.goal.group.rollout.min_ready.total_seconds():g} s"
        elif m.stance == "draining":
            yield f"{m.name}: {sessions} sessions to drain"
        elif m.stance == "down":
            yield f"{m.name}: fails its health check"
        elif m.stance == "forgotten":
            yield f"{m.name}: the balancer lost it"
        elif m.stance == "leaving":
            yield f"{m.name}: stopping"
    for refusal in refusals:
        yield f"{refusal.action.server}: not {PAST[refusal.action.verb]}, as {refusal.why}"
    name = seen.goal.group.name
    if (canary := seen.memory.canary.get(name)) and canary.generation not in seen.memory.passed.get(name, ()):
        yield f"canaries are compared with the old until {canary.began_at + seen.goal.group.rollout.bake:%H:%M:%S} UTC"
    settled = seen.memory.settled_at.get(name)
    if settled and seen.old and blue_green.kept_until_settled(seen):
        until = settled + seen.goal.group.rollout.keep
        yield f"the old servers are kept for a rollback until {until:%H:%M:%S} UTC"


def with_undeclared(goals: Sequence[Goal], inventory: Inventory) -> list[Goal]:
    """The goals, and goals of no servers for groups that exist but that nobody declares any more."""
    known = {goal.group.name for goal in goals}
    if inventory.groups <= known:
        return list(goals)
    found = sorted(inventory.groups - known)
    nothing = Digest("sha256:" + "0" * 64)
    undeclared = [Goal(Group(name, count=0), Generation(name, 0, nothing, ServerConfig(""))) for name in found]
    return [*goals, *undeclared]


def _forget_ghosts(inventory: Inventory, memory: Memory) -> list[Action]:
    """Backends whose server does not exist any more."""
    if inventory.by_server.keys() <= inventory.names:
        return []
    ghosts = inventory.by_server.keys() - inventory.names - inventory.pending
    return [_forget(each) for each in inventory.backends if each.server in ghosts and each.group not in memory.paused]


def _forget(backend: Backend) -> Action:
    reason = "its server does not exist any more"
    if backend.admission == "attached":
        return Detach(backend.group, backend.server, reason)
    return Dismiss(backend.group, backend.server, reason, sever=True)
