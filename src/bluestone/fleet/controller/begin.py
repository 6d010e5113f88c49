"""The beginning and the end of a rollout: when one has to begin, and what the journal says of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.recall import START_OR_END
from bluestone.fleet.explain import length
from bluestone.fleet.findings import way_back
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal, Progress


def beginning(journal: Journal, goals: Sequence[Goal], memory: Memory) -> set[str]:
    """The groups for which a rollout has to begin: another goal than last time, or the last one ended."""
    groups = set()
    for declared in goals:
        goal = way_back(declared, memory)
        last = journal.last(START_OR_END, group=goal.group.name)
        if last is None or last.kind != "rollout.started" or not _goal_data(goal).items() <= last.data.items():
            groups.add(goal.group.name)
    return groups


def is_led(journal: Journal, goals: Sequence[Goal]) -> bool:
    """Whether the last rollout of every group, whatever became of it, was to its goal."""
    for goal in goals:
        last = journal.last(("rollout.started",), group=goal.group.name)
        if goal.group.count and (last is None or not _goal_data(goal).items() <= last.data.items()):
            return False
    return True


def declare(journal: Journal, goals: Sequence[Goal]) -> bool:
    """Record how the groups that have servers are declared; whether that is news of any.

    Whatever leads them later without the file (a daemon, a patch) does it by this.
    """
    groups, known = [goal.group for goal in goals if goal.group.count], journal.declared()
    if all(group in known for group in groups):
        return False
    journal.declare(groups)
    return True


def started(goal: Goal, by: str, plan: str = "", predicted: float = 0.0) -> Entry:
    """The beginning of a rollout: where to, by whom, by which plan (its id), and how many seconds it may take.

    The latter two only if they are known. It also says which generation the group would go back to by itself.
    """
    why = f"to generation {goal.generation.number}, {goal.group.rollout.strategy}"
    why = why if goal.group.count else "to no servers"
    data: dict[str, object] = {**_goal_data(goal), "by": by}
    data |= {"fallback": goal.fallback.number} if goal.fallback else {}
    data |= {"plan": plan} if plan else {}
    data |= {"predicted_s": predicted} if predicted else {}
    return Entry("rollout.started", goal.group.name, message=why, data=data)


def finished(journal: Journal, progress: Progress, now: datetime) -> Entry:
    """The end of a rollout: how many servers serve, and how long it took."""
    start = journal.last(("rollout.started",), group=progress.group)
    message, data = f"{progress.serving} servers serve", dict[str, object]()
    if start is not None:
        took = (now - start.at).total_seconds()
        data = {"took_s": round(took, 1)}
        message += f", after {length(took)}"
        if predicted := start.data.get("predicted_s"):
            data |= {"predicted_s": predicted}
            message += f" ({length(predicted)} were predicted)"
    return Entry("rollout.finished", progress.group, message=message, data=data)


def _goal_data(goal: Goal) -> dict[str, int]:
    return {"generation": goal.generation.number, "count": goal.group.count}
