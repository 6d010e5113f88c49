"""Servers that drift while chance has its way: they are replaced within the budget, and the group arrives."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from bluestone.fleet.budget import budget
from bluestone.fleet.plan import plan
from bluestone.fleet.remember import remember
from bluestone.fleet.standing import view
from bluestone.model.action import Create, Detach
from bluestone.model.group import StrategyName
from bluestone.model.memory import Taint
from bluestone.model.plan import Goal, Plan
from bluestone.simulation.history import Faults, World, check, play
from planner_histories import NO_FAULTS, a_goal, a_policy

STRATEGIES: tuple[StrategyName, ...] = ("blue-green", "rolling", "destroy-first")


def settled(chance: random.Random, strategy: StrategyName, count: int) -> tuple[World, Goal]:
    """A group that serves as a whole."""
    world, goal = World(chance, NO_FAULTS), a_goal(a_policy(chance, strategy), count, 1)
    world.start_rollout("web")
    assert play(world, goal, rounds=400).done
    return world, goal


def taint(world: World, *servers: str) -> None:
    world.memory = replace(
        world.memory, taints={**world.memory.taints, **{name: Taint("drift", "it drifted") for name in servers}}
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_all_servers_tainted_at_once_are_replaced_without_going_below_the_floor(strategy: StrategyName) -> None:
    for seed in range(12):
        chance = random.Random(seed)
        count = chance.randint(2, 6)
        world, goal = settled(chance, strategy, count)
        before = set(world.servers)
        taint(world, *before)
        world.start_rollout("web")
        lowest = count
        last = Plan()
        for _ in range(400):
            inventory = world.observe()
            seen = view(goal, inventory, world.memory)
            lowest = min(lowest, len(seen.serving))
            last = plan([goal], inventory, world.memory)
            world.memory = remember(world.memory, last.facts, world.now)
            check(last, goal, inventory, world)
            gone = sum(isinstance(action, Detach) for action in last.actions)
            assert gone <= max(0, len(seen.serving) - budget(seen).floor)
            world.begin(last.actions)
            if not world.under_way and last.done:
                break
            world.pass_time()
        assert last.done, (seed, strategy)
        assert not before & set(world.servers)
        assert lowest >= budget(view(goal, world.observe(), world.memory)).floor


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_servers_that_drift_under_faults_are_all_gone_in_the_end(strategy: StrategyName) -> None:
    for seed in range(24):
        chance = random.Random(f"{strategy} {seed}")
        count = chance.randint(1, 5)
        world, goal = settled(chance, strategy, count)
        world.faults = Faults(death=0.01, flap=0.02, failure=0.1, blind=0.05)
        for _ in range(chance.randint(1, 4)):
            world.start_rollout("web")
            taint(world, *(name for name in world.servers if chance.random() < 0.4))
            play(world, goal, rounds=chance.randint(1, 30))
        world.faults = NO_FAULTS
        world.start_rollout("web")
        last = play(world, goal, rounds=400)
        assert last.done, f"seed {seed}: {strategy} did not arrive: {last.progress}"
        assert len(world.servers) == count
        assert not set(world.memory.taints) & set(world.servers)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_taint_during_a_rollout_to_another_generation_changes_nothing_but_who_goes(strategy: StrategyName) -> None:
    for seed in range(12):
        chance = random.Random(seed)
        count = chance.randint(1, 4)
        world, goal = settled(chance, strategy, count)
        taint(world, *list(world.servers)[:1])
        following = a_goal(goal.group.rollout, count, 2)
        world.start_rollout("web")
        play(world, following, rounds=chance.randint(1, 8))
        taint(world, *(name for name in world.servers if chance.random() < 0.3))
        assert play(world, following, rounds=400).done
        assert {server.generation for server in world.servers.values()} == {2}
        assert not set(world.memory.taints) & set(world.servers)


def test_the_reason_of_a_replacement_is_the_taint() -> None:
    world, goal = settled(random.Random(1), "rolling", 2)
    name = min(world.servers)
    world.memory = replace(world.memory, taints={name: Taint("login", "podman exec at 09:43")})
    decided = plan([goal], world.observe(), world.memory)
    assert any("podman exec at 09:43" in action.reason for action in decided.actions)
    assert all(isinstance(action, Create | Detach) for action in decided.actions)
