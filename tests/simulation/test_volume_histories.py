"""Random histories of groups with volumes: no volume is ever on two servers, and each ends on a declared slot."""

from __future__ import annotations

import random

import pytest

from bluestone.model.action import Create
from bluestone.model.group import Amount, RolloutPolicy, StrategyName
from bluestone.model.volume import VolumeSpec
from bluestone.simulation.history import Faults, Violation, World, play
from planner_histories import NO_FAULTS, a_goal, a_policy

DATA = (VolumeSpec("data", "/var/lib/data"),)
FAULTS = Faults(death=0.02, flap=0.02, failure=0.15, blind=0.05)


@pytest.mark.parametrize("strategy", ["destroy-first", "rolling", "blue-green"])
def test_a_volume_is_on_one_server_and_every_declared_slot_has_its_own(strategy: StrategyName) -> None:
    """Blue-green and a surge are refused in a declaration; where a goal has them all the same, they are not heeded."""
    for seed in range(40):
        chance = random.Random(seed)
        policy, world = a_policy(chance, strategy), World(random.Random(seed), NO_FAULTS)
        for number in range(1, 5):
            count = chance.randint(1, 4)
            goal = a_goal(policy, count, number, volumes=DATA)
            world.faults = FAULTS
            world.start_rollout("web")
            play(world, goal, rounds=chance.randint(1, 60))
            world.faults = NO_FAULTS
            world.start_rollout("web")
            last = play(world, goal, rounds=400)
            assert last.done, f"seed {seed}: {last.progress}"
            held = sorted(volume for server in world.servers.values() for volume in server.volumes)
            assert held == [f"web-{slot}.data" for slot in range(1, count + 1)]


def test_volumes_come_and_go_with_a_generation() -> None:
    for seed in range(20):
        chance = random.Random(seed)
        world, plain = World(chance, NO_FAULTS), RolloutPolicy("blue-green")
        with_volumes = RolloutPolicy("destroy-first", Amount(0), Amount(1))
        for number, volumes in enumerate([(), DATA, (), DATA], start=1):
            goal = a_goal(with_volumes if volumes else plain, 2, number, volumes=volumes)
            world.start_rollout("web")
            assert play(world, goal, rounds=400).done, f"seed {seed}, generation {number}"
        assert {server.slot for server in world.servers.values()} == {1, 2}


def test_a_world_with_a_volume_on_two_servers_is_a_violation() -> None:
    world = World(random.Random(1), NO_FAULTS)
    goal = a_goal(RolloutPolicy("destroy-first", Amount(0), Amount(1)), 1, 1, volumes=DATA)
    assert play(world, goal, rounds=100).done
    with pytest.raises(Violation, match="would be on"):
        world._end(Create(1, 99, goal.generation, "a mistake"), works=True)
