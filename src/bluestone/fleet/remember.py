"""What planning found out, kept for the next planning. Pure.

The journal keeps the same facts; `controller/recall` reads them back, and gets the same memory: what is known of single
servers is one code for both, `marks`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from bluestone.fleet.brake import after_death
from bluestone.fleet.marks import MARKING, Marks
from bluestone.model.memory import Canary, Memory, Quarantine
from bluestone.model.plan import (
    CameUp,
    CanaryBegan,
    CanaryPassed,
    Died,
    Fact,
    Halted,
    Held,
    Returned,
    Settled,
    WentDown,
)

T = TypeVar("T")


def remember(memory: Memory, facts: Sequence[Fact], at: datetime) -> Memory:
    """The memory as it will be once these facts are in the journal."""
    if of_servers := [fact for fact in facts if fact.kind in MARKING]:
        marks = Marks.of(memory)
        for fact in of_servers:
            marks.follow(fact.kind, fact.server, at)
        memory = marks.put_into(memory)
    for fact in facts:
        memory = _with(memory, fact, at)
    return memory


def begun(memory: Memory, groups: Collection[str]) -> Memory:
    """The memory as it is once rollouts of these groups have begun: what belonged to their last ones is gone."""

    def others(facts: Mapping[str, T]) -> dict[str, T]:
        return {name: fact for name, fact in facts.items() if name not in groups}

    return replace(
        memory,
        deaths=others(memory.deaths),
        started_at=others(memory.started_at),
        settled_at=others(memory.settled_at),
        halted=others(memory.halted),
        failures=others(memory.failures),
        streaks=others(memory.streaks),
        paused_since=others(memory.paused_since),
        canary=others(memory.canary),
        full=others(memory.full),
    )


def _with(memory: Memory, fact: Fact, at: datetime) -> Memory:
    group = fact.group
    match fact:
        case WentDown() | CameUp():
            return memory
        case Died():
            if not fact.counts:
                return memory
            deaths = {**memory.deaths, group: memory.deaths.get(group, 0) + 1}
            streaks = {**memory.streaks, group: after_death(memory.streaks.get(group), at)}
            return replace(memory, deaths=deaths, streaks=streaks)
        case Settled():
            passed = {**memory.passed, group: memory.passed.get(group, frozenset()) | {fact.generation}}
            return replace(memory, settled_at={**memory.settled_at, group: at}, passed=passed)
        case Halted():
            memory = replace(memory, halted={**memory.halted, group: fact.reason})
            if not fact.declared:
                return memory
            failed = {**memory.quarantined.get(group, {}), fact.generation: Quarantine(fact.reason, fact.declared)}
            return replace(memory, quarantined={**memory.quarantined, group: failed})
        case Returned():
            memory = begun(memory, {group})
            return replace(memory, started_at={**memory.started_at, group: at})
        case Held():
            return replace(memory, paused_since={**memory.paused_since, group: at})
        case CanaryBegan():
            canary = Canary(fact.generation, at, fact.baseline)
            return replace(memory, canary={**memory.canary, group: canary})
        case CanaryPassed():
            passed = {**memory.passed, group: memory.passed.get(group, frozenset()) | {fact.generation}}
            return replace(memory, passed=passed)
