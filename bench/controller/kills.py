"""Whole controllers killed: at random points in bad weather, and at every point of a short rollout of each strategy."""

from __future__ import annotations

import random
from functools import cache

from msgspec.structs import replace

from bench.controller.bound import Bound
from bluestone.model.group import StrategyName
from bluestone.simulation.history import Violation
from bluestone.simulation.many import play_many
from bluestone.simulation.trial import Kill
from bluestone.simulation.weather import CALM, STORM, any_of
from planner_histories import STRATEGIES
from trials import a_group, try_out

STORMS = 400
SEED = 1


def measure(bound: Bound) -> dict[str, float]:
    """`kills` of controllers in storms and at every kill point, and `kill_violations`: histories that broke a rule.

    A history that does not arrive counts as one.
    """
    points = _points()
    tried = play_many(_kill_at, 0, len(points), seconds=bound.left)
    bound.over(len(tried), len(points))
    found = play_many(_storm, 0, STORMS, seconds=bound.left)
    bound.over(len(found), STORMS)
    return {
        "kills": sum(kills for kills, _ in found) + len(tried),
        "kill_points": len(tried),
        "kill_violations": sum(broken for _, broken in found) + sum(tried),
        "storms": len(found),
    }


def _storm(seed: int) -> tuple[int, int]:
    chance = random.Random(seed)
    group = a_group(chance.choice(STRATEGIES), chance.randint(1, 5))
    weather = replace(any_of(chance), kill=STORM.kill)
    try:
        return try_out(seed, group, weather).kills, 0
    except Violation as violation:
        print(violation, flush=True)
        return 0, 1


@cache
def _points() -> tuple[tuple[StrategyName, int, bool], ...]:
    """Every point of a rollout of each strategy, with and without an effect of what had been begun there."""
    return tuple(
        (strategy, point, orphans)
        for strategy in STRATEGIES
        for point in range(1, try_out(SEED, a_group(strategy, 1), CALM).points + 1)
        for orphans in (True, False)
    )


def _kill_at(index: int) -> int:
    """Whether a rule is broken when the controller is killed at one of all points."""
    strategy, point, orphans = _points()[index]
    try:
        return int(try_out(SEED, a_group(strategy, 1), CALM, Kill(point, orphans=orphans)).state != "done")
    except Violation as violation:
        print(f"{strategy}, point {point}: {violation}", flush=True)
        return 1
