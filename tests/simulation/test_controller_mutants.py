"""Bugs planted in whole controllers: of each, some history in bad weather must make a `Violation`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest
from msgspec.structs import replace

from bluestone.fleet import plan, safety, standing
from bluestone.fleet.controller import controller, observe, recall, watcher
from bluestone.fleet.findings import way_back
from bluestone.fleet.strategies import steps
from bluestone.model.action import Create
from bluestone.model.group import Group, StrategyName
from bluestone.model.volume import VolumeSpec
from bluestone.simulation import life, provider, trial
from bluestone.simulation.history import Violation
from bluestone.simulation.weather import Weather
from trials import a_group, try_out

HISTORIES = 12
DATA = (VolumeSpec("data", "/srv/data"),)

Mutation = Callable[[pytest.MonkeyPatch], None]


def _into_taken_slots(patch: pytest.MonkeyPatch) -> None:
    """A successor is created beside the server whose volume it shall have, of a provider that lets it."""

    def beside(view: Any, missing: int, numbers: Any) -> list[Create]:
        return [Create(1, next(numbers), view.goal.generation, "a bug") for _ in range(missing)]

    patch.setattr(steps, "create", beside)
    patch.setattr(safety, "permit", lambda actions, *_: (tuple(actions), ()))
    patch.setattr(controller, "lint", lambda *_: [])
    patch.setattr(provider.SimulatedProvider, "_holders", lambda _: {})


def _unfenced(patch: pytest.MonkeyPatch) -> None:
    """Whoever stood still goes on as if it led."""
    patch.setattr(life, "FENCED", frozenset())


def _blind_to_drift(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks for drift."""
    patch.setattr(watcher.Watcher, "look_if_due", lambda *_: None)


def _deaf_to_taints(patch: pytest.MonkeyPatch) -> None:
    """What was found is not heeded."""
    real = recall.recall
    patch.setattr(controller, "recall", lambda *asked: _without_taints(real(*asked)))


def _without_taints(memory: Any) -> Any:
    memory.taints.clear()
    return memory


def _enrols_once(patch: pytest.MonkeyPatch) -> None:
    """What was enrolled once is taken to be enrolled for ever."""
    real = steps.enrol
    patch.setattr(
        steps, "enrol", lambda view: [step for step in real(view) if step.server not in view.memory.enrolled_at]
    )


def _trusts_partial_lists(patch: pytest.MonkeyPatch) -> None:
    """What a list leaves out is gone."""
    patch.setattr(observe.Lookout, "_missed", lambda *_: ())
    patch.setattr(observe, "_unlisted", lambda *_: ())
    patch.setattr(controller.Controller, "_unborn", lambda *_: [])


def _acts_on_gaps(patch: pytest.MonkeyPatch) -> None:
    """A view with gaps is taken for whole."""
    real = observe.observe
    patch.setattr(controller, "observe", lambda *asked: replace(real(*asked), gaps=()))


def _gives_up_what_was_lost(patch: pytest.MonkeyPatch) -> None:
    """What the balancer lost while it served is taken to be on its way out."""
    patch.setattr(standing, "_is_lost", lambda *_: False)


def _takes_unchecked_for_down(patch: pytest.MonkeyPatch) -> None:
    """What the balancer has not checked yet, as it was started anew, is let go."""
    patch.setattr(steps, "_may_yet_serve", lambda _: False)


def _goes_back_again(patch: pytest.MonkeyPatch) -> None:
    """That it has gone back already is forgotten at each look."""
    ways = cycle([lambda goal, _: goal, way_back])
    patch.setattr(plan, "way_back", lambda goal, memory: next(ways)(goal, memory))


MUTANTS: dict[str, tuple[StrategyName, Weather, Mutation]] = {
    "puts a volume on two servers": ("destroy-first", Weather(held=0.2), _into_taken_slots),
    "writes after its lease": ("rolling", Weather(two=0.01), _unfenced),
    "never looks for drift": ("rolling", Weather(drift=0.03), _blind_to_drift),
    "keeps what drifted": ("blue-green", Weather(drift=0.05), _deaf_to_taints),
    "enrols nobody twice": ("rolling", Weather(forget=0.2), _enrols_once),
    "gives up what the balancer lost": ("rolling", Weather(forget=0.1), _gives_up_what_was_lost),
    "takes unchecked servers for down": ("rolling", Weather(crash=0.2), _takes_unchecked_for_down),
    "goes back again and again": ("rolling", Weather(broken=True), _goes_back_again),
    "trusts a list that leaves servers out": ("rolling", Weather(partial=0.05), _trusts_partial_lists),
    "acts on what it cannot see": ("rolling", Weather(blind=0.05), _acts_on_gaps),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_bug_planted_in_the_controller_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    strategy, weather, mutate = MUTANTS[name]
    group = _group(strategy)
    arrived = "returned" if weather.broken else "done"
    assert try_out(0, group, weather).state == arrived, "without the bug it arrives"
    mutate(monkeypatch)
    monkeypatch.setattr(trial, "ARRIVES_WITHIN", 300.0)
    with pytest.raises(Violation):
        for seed in range(HISTORIES):
            try_out(seed, group, weather)


def _group(strategy: StrategyName) -> Group:
    return a_group(strategy, volumes=DATA if strategy == "destroy-first" else ())
