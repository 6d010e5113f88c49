"""What a plan leads to: the planner played forward in a world where every action works at once. Pure.

This is what `bluestone plan` shows, and what its id names. Reality may differ, and is then planned for anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from bluestone.fleet.budget import budget
from bluestone.fleet.durations import UNMEASURED, Durations
from bluestone.fleet.plan import plan, with_undeclared
from bluestone.fleet.remember import remember
from bluestone.fleet.standing import view
from bluestone.model.action import Action, Attach, Create, Destroy, Detach, Dismiss, Enrol
from bluestone.model.inventory import Backend, Counters, Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal
from bluestone.model.server import Endpoint

MAX_ROUNDS = 5_000
"""How far ahead to look: 1,000 servers, replaced one at a time, take some five rounds each."""

STEP = timedelta(seconds=1)


class Step(Struct, frozen=True):
    """An action and the round in which it is taken: those of one round are taken together."""

    round: int
    action: Action


class Span(Struct, frozen=True):
    """The fewest servers of a group that serve, and the most that exist, on the way; and how many must and may.

    `leaving` is how many may exist beside these while they are on their way out.
    `waits` is what the group waits for now.
    """

    group: str
    lowest_serving: int
    highest_total: int
    floor: int = 0
    cap: int = 0
    leaving: int = 0
    waits: tuple[str, ...] = ()


class Forecast(Struct, frozen=True):
    """All actions to the goal, and what the way there passes through. `halted` says why there is no way.

    It takes about `seconds`; `assumed` names the groups of whose servers it was never measured how long they take.
    """

    steps: tuple[Step, ...]
    spans: tuple[Span, ...]
    halted: tuple[str, ...] = ()
    seconds: float = 0.0
    assumed: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Names this plan: the same actions on the same servers for the same goal have the same id.

        A server that is yet to be created has no number in it, since failed attempts use numbers up.
        """
        unborn = {step.action.server for step in self.steps if isinstance(step.action, Create)}
        text = "\n".join(f"{step.round} {_identity(step.action, unborn)}" for step in self.steps)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def forecast(
    goals: Sequence[Goal], inventory: Inventory, memory: Memory, durations: Durations = UNMEASURED
) -> Forecast:
    """Play the planner forward from an observation until nothing is left to do; `durations` say how long that takes."""
    steps: list[Step] = []
    everything = with_undeclared(goals, inventory)
    limits = {goal.group.name: budget(view(goal, inventory, memory)) for goal in everything}
    waiting: dict[str, tuple[str, ...]] = {}
    seconds = 0.0
    low: dict[str, int] = {}
    high: dict[str, int] = {}
    waited = 0
    policies = [goal.group.rollout for goal in goals]
    waits = {STEP} | {wait for p in policies for wait in (p.keep, p.bake, p.min_ready) if wait > STEP}
    spans_of_time = sorted(waits)
    for turn in range(1, MAX_ROUNDS + 1):
        now = plan(goals, inventory, memory)
        for group in now.progress:
            low[group.group] = min(low.get(group.group, group.serving), group.serving)
            high[group.group] = max(high.get(group.group, group.total), group.total)
            waiting.setdefault(group.group, group.waiting)
        steps += [Step(turn, action) for action in now.actions]
        seconds += durations.of_round(now.actions)
        memory = remember(memory, now.facts, inventory.at)
        for action in now.actions:
            inventory, memory = _apply(action, inventory, memory)
        waited = 0 if now.actions or now.facts else waited + 1
        if now.halted or now.done or waited > len(spans_of_time):
            break
        # Nothing to do but wait (for a bake, or the end of what is kept): let that time pass, the shortest first.
        leap = spans_of_time[waited - 1] if waited else STEP
        seconds += leap.total_seconds() if leap > STEP else 0.0
        inventory = _busy(replace(inventory, at=inventory.at + leap))
    spans = tuple(
        Span(name, low[name], high[name], limit.floor, limit.cap, limit.leaving, waiting[name])
        for name, limit in sorted(limits.items())
        if name in low
    )
    halted = tuple(reason for group in now.halted for reason in group.waiting)
    moved = {step.action.group for step in steps if isinstance(step.action, Create)}
    assumed = tuple(sorted(group for group in moved if not durations.knows(group)))
    return Forecast(tuple(steps), spans, halted, round(seconds, 1), assumed)


def _busy(inventory: Inventory) -> Inventory:
    """All servers answer alike, and enough of it: canaries pass."""
    counted = Counters(int(inventory.at.timestamp()) * 1_000, 0, 1.0)
    return replace(inventory, backends=tuple(replace(backend, counters=counted) for backend in inventory.backends))


def _apply(action: Action, inventory: Inventory, memory: Memory) -> tuple[Inventory, Memory]:
    """The world after an action that worked."""
    servers = list(inventory.servers)
    backends = {backend.server: backend for backend in inventory.backends}
    match action:
        case Create():
            ports = {port: port for port in action.generation.config.ports}
            born = action.coming(inventory.at)
            servers.append(replace(born, phase="running", endpoint=Endpoint("forecast", ports)))
            memory = replace(memory, next_incarnation=max(memory.next_incarnation, action.incarnation + 1))
        case Enrol():
            backends[action.server] = Backend(action.server, action.group, "detached", "up", 0)
        case Attach():
            backends[action.server] = replace(backends[action.server], admission="attached")
            memory = replace(memory, attached_at={**memory.attached_at, action.server: inventory.at})
        case Detach():
            backends[action.server] = replace(backends[action.server], admission="detached", sessions=0)
            memory = replace(memory, detached_at={**memory.detached_at, action.server: inventory.at})
        case Dismiss():
            backends.pop(action.server, None)
        case Destroy():
            servers = [server for server in servers if server.name != action.server]
    return replace(inventory, servers=tuple(servers), backends=tuple(backends.values())), memory


def _identity(action: Action, unborn: Collection[str]) -> str:
    if isinstance(action, Create):
        generation = action.generation
        return f"create {action.group} {action.slot} {generation.image} {generation.config.digest()}"
    name = action.server.rpartition("-")[0] if action.server in unborn else action.server
    return f"{action.verb} {action.group} {name}"
