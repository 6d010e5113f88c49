"""Histories of whole controllers: the groups they lead, and a journal in memory."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Amount, Group, Port, RolloutPolicy, StrategyName
from bluestone.model.ids import Digest
from bluestone.model.plan import Goal
from bluestone.model.volume import VolumeSpec
from bluestone.simulation.trial import PACE, Kill, Report, Trial
from bluestone.simulation.weather import Weather

DRAIN = timedelta(seconds=5)
PROGRESS = timedelta(seconds=30)


def a_group(strategy: StrategyName, count: int = 3, volumes: tuple[VolumeSpec, ...] = ()) -> Group:
    """A group that can be led at all: blue-green and rolling have no server away, destroy-first one."""
    away = Amount(1 if strategy == "destroy-first" else 0)
    policy = RolloutPolicy(strategy, Amount(1), away, drain=DRAIN, progress=PROGRESS)
    return Group("web", count=count, ports=(Port(8080, 80),), volumes=volumes, rollout=policy)


def try_out(
    seed: int, group: Group, weather: Weather, kill: Kill | None = None, pace: tuple[float, float] = PACE
) -> Report:
    """Play one history. Raises `Violation`."""
    with closing(SqliteJournal(Path(":memory:"))) as journal:
        return Trial(seed, [group], weather, journal, kill=kill, pace=pace).run()


def a_goal(strategy: StrategyName, number: int) -> Goal:
    """The group at a generation."""
    group = a_group(strategy)
    image = Digest(f"sha256:{number:064x}")
    return Goal(group, Generation(group.name, number, image, ServerConfig.of(group, "")))
