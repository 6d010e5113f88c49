"""The controller is killed at every point of its work: before and after each call, and each commit of its journal."""

from __future__ import annotations

import pytest

from bluestone.model.group import StrategyName
from bluestone.simulation.trial import Kill
from bluestone.simulation.weather import CALM
from trials import a_group, try_out

SEED = 1
PACE = 0.6, 1.2
"""Seconds between two ticks: with fewer looks while it waits, more of the points are those of steps."""


@pytest.mark.parametrize(("strategy", "count"), [("blue-green", 2), ("rolling", 1), ("destroy-first", 1)])
def test_killed_at_any_point_of_a_rollout_it_breaks_nothing_and_arrives(strategy: StrategyName, count: int) -> None:
    group = a_group(strategy, count)
    points = try_out(SEED, group, CALM, pace=PACE).points
    assert points > 50, "that was no rollout"
    for point in range(1, points + 1):
        report = try_out(SEED, group, CALM, Kill(point, orphans=point % 4 < 2), PACE)
        assert (report.state, report.kills) == ("done", 1), f"killed at point {point}"
