"""Whole controllers killed: at random points in bad weather, and at every point of a short rollout of each strategy."""

from __future__ import annotations

import random

from msgspec.structs import replace

from bluestone.simulation.history import Violation
from bluestone.simulation.many import play_many
from bluestone.simulation.trial import Kill
from bluestone.simulation.weather import CALM, STORM, any_of
from planner_histories import STRATEGIES
from trials import a_group, try_out

STORMS = 400
SEED = 1


def measure(storms: int = STORMS) -> dict[str, float]:
    """`kills` of controllers in storms and at every kill point, and `kill_violations`: histories that broke a rule.

    A history that does not arrive counts as one.
    """
    found = play_many(_storm, 0, storms)
    kills, broken = sum(kills for kills, _ in found), sum(broken for _, broken in found)
    points = [point for strategy in STRATEGIES for point in _points(strategy)]
    tried = play_many(_kill_at, 0, len(points))
    return {
        "kills": kills + len(tried),
        "kill_points": len(tried),
        "kill_violations": broken + sum(tried),
        "storms": storms,
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


def _points(strategy: str) -> list[tuple[str, int, bool]]:
    group = a_group(next(known for known in STRATEGIES if known == strategy), 1)
    number = try_out(SEED, group, CALM).points
    return [(strategy, point, orphans) for point in range(1, number + 1) for orphans in (True, False)]


def _kill_at(index: int) -> int:
    """Whether a rule is broken when the controller is killed at one of all points."""
    strategy, point, orphans = [point for strategy in STRATEGIES for point in _points(strategy)][index]
    group = a_group(next(known for known in STRATEGIES if known == strategy), 1)
    try:
        return int(try_out(SEED, group, CALM, Kill(point, orphans=orphans)).state != "done")
    except Violation as violation:
        print(f"{strategy}, point {point}: {violation}", flush=True)
        return 1
