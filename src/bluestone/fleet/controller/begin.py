"""The beginning of a rollout: when one has to begin, and what the journal then says."""

from __future__ import annotations

from collections.abc import Sequence

from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.recall import START_OR_END
from bluestone.fleet.findings import way_back
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal


def beginning(journal: Journal, goals: Sequence[Goal], memory: Memory) -> set[str]:
    """The groups for which a rollout has to begin: another goal than last time, or the last one ended."""
    groups = set()
    for declared in goals:
        goal = way_back(declared, memory)
        last = journal.last(START_OR_END, group=goal.group.name)
        if last is None or last.kind != "rollout.started" or not _goal_data(goal).items() <= last.data.items():
            groups.add(goal.group.name)
    return groups


def started(goal: Goal, by: str, plan: str = "") -> Entry:
    """The beginning of a rollout: where to, by whom, by which plan (its id, if known), what it would go back to."""
    why = f"to generation {goal.generation.number}, {goal.group.rollout.strategy}"
    why = why if goal.group.count else "to no servers"
    data: dict[str, object] = {**_goal_data(goal), "by": by}
    data |= {"fallback": goal.fallback.number} if goal.fallback else {}
    return Entry("rollout.started", goal.group.name, message=why, data=data | ({"plan": plan} if plan else {}))


def _goal_data(goal: Goal) -> dict[str, int]:
    return {"generation": goal.generation.number, "count": goal.group.count}
