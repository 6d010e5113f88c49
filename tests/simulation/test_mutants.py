"""Planted bugs: histories and their checkers are worth something only if they see what is wrong.

Each mutant is a planner with one mistake, and with `safety`, which would cover most of them up, switched off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

import planner_histories
from bluestone.fleet import budget, safety
from bluestone.fleet.strategies import blue_green, rolling, steps
from bluestone.model.action import Attach, Create, Destroy, Detach, Dismiss
from bluestone.model.group import StrategyName
from bluestone.simulation.history import Violation
from planner_histories import a_history, a_rollout

Mutation = Callable[[pytest.MonkeyPatch], None]
HISTORIES = 25
ROLLOUTS = 600


def _patch(where: Any, name: str, new: Any) -> Mutation:
    return lambda patch: patch.setattr(where, name, new)


def _attach_unhealthy(view: Any, members: Any, reason: str) -> list[Any]:
    return [Attach(view.goal.group.name, m.name, reason) for m in members if m.backend and not m.attached]


def _detach_pending(view: Any, members: Any, reason: str) -> list[Any]:
    return [action for m in members for action in steps._way_out(view, m, reason)]


def _first_slot(view: Any, missing: int, numbers: Any) -> list[Any]:
    return [Create(1, next(numbers), view.goal.generation, "a bug") for _ in range(missing)]


def _first_number(view: Any, missing: int, numbers: Any) -> list[Any]:
    free = (slot for slot in range(1, 100) if slot not in view.taken_slots)
    return [Create(next(free), 1, view.goal.generation, "a bug") for _ in range(missing)]


def _one_too_many(view: Any, missing: int, numbers: Any) -> list[Any]:
    free = (slot for slot in range(1, 100) if slot not in view.taken_slots)
    return [Create(next(free), next(numbers), view.goal.generation, "a bug") for _ in range(missing + 1)]


def _other_generation(view: Any, missing: int, numbers: Any) -> list[Any]:
    free = (slot for slot in range(1, 100) if slot not in view.taken_slots)
    wrong = replace(view.goal.generation, number=view.goal.generation.number + 1)
    return [Create(next(free), next(numbers), wrong, "a bug") for _ in range(missing)]


def _straight_to_destroy(view: Any, member: Any, reason: str) -> list[Any]:
    return [Destroy(view.goal.group.name, member.name, reason)]


def _dismiss_attached(view: Any, member: Any, reason: str) -> list[Any]:
    if member.backend is None:
        return [Destroy(view.goal.group.name, member.name, reason)]
    return [Dismiss(view.goal.group.name, member.name, reason, sever=True)]


def _never_dismissed(view: Any, member: Any, reason: str) -> list[Any]:
    return [Detach(view.goal.group.name, member.name, reason)] if member.attached else []


def _twice(view: Any, member: Any, reason: str) -> list[Any]:
    return 2 * [Destroy(view.goal.group.name, member.name, reason)] if member.backend is None else []


def _nothing(*_: Any) -> list[Any]:
    return []


def _attach_what_goes(view: Any, members: Any, reason: str) -> list[Any]:
    idle = [m for m in view.members if m.backend and not m.attached and m.backend.health == "up"]
    return [Attach(view.goal.group.name, m.name, reason) for m in idle]


def _early_switch(view: Any, budget: Any, numbers: Any) -> list[Any]:
    return _REAL(view, budget, numbers) + steps.retire(view, view.old, "too early")


_REAL = blue_green.next_steps

MUTANTS: dict[str, tuple[StrategyName, Mutation]] = {
    "attaches before health": ("rolling", _patch(steps, "attach", _attach_unhealthy)),
    "attaches what has to go": ("rolling", _patch(steps, "attach", _attach_what_goes)),
    "acts on what is being acted on": ("rolling", _patch(steps, "retire", _detach_pending)),
    "uses a slot twice": ("blue-green", _patch(steps, "create", _first_slot)),
    "uses a name twice": ("blue-green", _patch(steps, "create", _first_number)),
    "creates one too many": ("rolling", _patch(steps, "create", _one_too_many)),
    "creates another generation": ("rolling", _patch(steps, "create", _other_generation)),
    "destroys what the balancer knows": ("rolling", _patch(steps, "_way_out", _straight_to_destroy)),
    "dismisses what is attached": ("rolling", _patch(steps, "_way_out", _dismiss_attached)),
    "never finishes a way out": ("rolling", _patch(steps, "_way_out", _never_dismissed)),
    "destroys twice at once": ("rolling", _patch(steps, "_way_out", _twice)),
    "never enrols": ("rolling", _patch(steps, "enrol", _nothing)),
    "never attaches": ("destroy-first", _patch(steps, "attach", _nothing)),
    "never creates": ("destroy-first", _patch(steps, "create", _nothing)),
    "lets too many go": ("rolling", _patch(steps, "spare", lambda view, floor, candidates: list(candidates))),
    "lets nobody go": ("rolling", _patch(steps, "spare", lambda view, floor, candidates: [])),
    "cuts sessions early": ("blue-green", _patch(steps, "drained", lambda *_: True)),
    "keeps the old for ever": ("blue-green", _patch(blue_green, "_expired", lambda view, gone: [])),
    "lets the old go before the new serve": (
        "blue-green",
        lambda patch: patch.setitem(_strategies(), "blue-green", _early_switch),
    ),
    "has one surge too many": (
        "rolling",
        lambda patch: patch.setitem(
            _strategies(), "rolling", lambda v, b, n: rolling.next_steps(v, replace(b, cap=b.cap + 1), n)
        ),
    ),
    "has a floor too low": (
        "rolling",
        lambda patch: patch.setitem(
            _strategies(), "rolling", lambda v, b, n: rolling.next_steps(v, replace(b, floor=b.floor - 1), n)
        ),
    ),
}


def _strategies() -> dict[StrategyName, Any]:
    from bluestone.fleet.plan import STRATEGIES

    return STRATEGIES


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    strategy, mutate = MUTANTS[name]
    monkeypatch.setattr(safety, "permit", lambda actions, view, budget: (tuple(actions), ()))
    mutate(monkeypatch)
    with pytest.raises((Violation, AssertionError)):
        for seed in range(HISTORIES):
            a_history(seed, strategy)


OF_BLUE_GREEN: dict[str, Mutation] = {
    "has three sets": _patch(budget, "_largest_set", lambda view: len(view.old)),
    "makes no room for a successor": _patch(blue_green, "_in_the_way", lambda *_: []),
}
"""Bugs that show only where servers drift, or the goal changes, in the middle of a rollout."""


@pytest.mark.parametrize("name", OF_BLUE_GREEN)
def test_a_planted_bug_of_mid_rollout_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner_histories, "PATIENCE", 2)
    OF_BLUE_GREEN[name](monkeypatch)
    with pytest.raises(Violation):
        for seed in range(ROLLOUTS):
            a_rollout(seed)


def test_safety_holds_back_a_strategy_that_detaches_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "spare", lambda view, floor, candidates: list(candidates))
    for seed in range(40):
        a_history(seed, "rolling")
