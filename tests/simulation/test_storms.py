"""Whole controllers in bad weather, and the planner alone many times over: as much as there is time for."""

from __future__ import annotations

import os
import random
from contextlib import suppress

import pytest
from msgspec.structs import replace

from bluestone.model.group import Resources
from bluestone.simulation.many import play_many
from bluestone.simulation.trial import Report
from bluestone.simulation.weather import KINDS, STORM, any_of, weather
from planner_histories import STRATEGIES, a_rollout
from trials import a_group, try_out

FEW = 40
"""How many are played even where the machine is slow."""

SECONDS = 12.0 if os.environ.get("CI") else 3.0


def a_storm(seed: int) -> Report:
    """A group of any strategy under some of the faults."""
    chance = random.Random(seed)
    group = a_group(chance.choice(STRATEGIES), chance.randint(1, 5))
    if chance.random() < 0.3:
        group = replace(group, zones=("a", "b", "c"), fallback=(Resources(memory=1 << 28),))
    return try_out(seed, group, any_of(chance))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_alone_breaks_nothing(kind: str) -> None:
    for seed, strategy in enumerate(STRATEGIES):
        report = try_out(seed, a_group(strategy), weather([kind]))
        assert report.state == ("returned" if kind == "broken" else "done")


def test_with_other_zones_to_go_to_the_loss_of_one_is_no_failure() -> None:
    group = replace(a_group("rolling", 3), zones=("a", "b", "c"))
    for seed in range(10):
        assert try_out(seed, group, weather(["zone", "quota"])).state == "done"


@pytest.mark.parametrize("seed", [147, 183, 497, 1050])
def test_lists_that_leave_servers_out_while_some_drift_break_nothing(seed: int) -> None:
    """The way back began with drifted servers; a list took long; a create failed, and had its effect; a restart in
    between."""
    chance = random.Random(seed)
    group = a_group(chance.choice(["blue-green"]), chance.randint(1, 5))
    if chance.random() < 0.3:
        group = replace(group, zones=("a", "b", "c"), fallback=(Resources(memory=1 << 28),))
    around = any_of(chance)
    partial, drift = max(around.partial, STORM.partial), max(around.drift, 4 * STORM.drift)
    assert try_out(seed, group, replace(around, partial=partial, drift=drift)).state in ("done", "returned")


def test_a_storm_comes_out_the_same_again() -> None:
    assert a_storm(4711) == a_storm(4711)


def test_storms_of_whole_controllers_break_nothing_and_they_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    reports = play_many(a_storm, 0, FEW) + play_many(a_storm, FEW, 1_000_000, seconds=SECONDS / 2)
    assert sum(report.kills for report in reports) > 0
    with capsys.disabled():
        print(f"\n{len(reports)} storms of whole controllers, {sum(r.kills for r in reports)} kills")


def test_many_rollouts_of_the_planner_break_nothing_and_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = play_many(a_rollout, 0, 10 * FEW) + play_many(a_rollout, 10 * FEW, 1_000_000, seconds=SECONDS)
    assert len(set(seeds)) == len(seeds)
    with capsys.disabled():
        print(f"\n{len(seeds)} histories of the planner")


def test_what_one_history_raises_is_raised_with_its_seed() -> None:
    with pytest.raises(ZeroDivisionError, match="division"):
        play_many(_fails_at_three, 0, 8)
    with suppress(ZeroDivisionError):
        assert play_many(_fails_at_three, 0, 3, processes=1) == [1.0, 0.5, 1 / 3]
        return
    raise AssertionError


def _fails_at_three(seed: int) -> float:
    return 1 / (seed + 1 if seed < 3 else 0)
