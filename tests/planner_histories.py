"""Histories of chance for the planner: policies, goals, and a whole life of a group."""

from __future__ import annotations

import random
from datetime import timedelta

from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Amount, Group, Port, RolloutPolicy, StrategyName
from bluestone.model.ids import Digest
from bluestone.model.plan import Goal
from bluestone.model.volume import VolumeSpec
from bluestone.simulation.history import Faults, Violation, World, play

NO_FAULTS = Faults()
PLAIN = ServerConfig("podman", ports=(80,))
"""What most servers are started with. It is one for all, as it keeps its digest."""

PATIENCE = 200
"""How often a rollout that is held, though the faults have ceased, is looked at again."""

STRATEGIES: tuple[StrategyName, ...] = ("blue-green", "rolling", "destroy-first")


def a_policy(chance: random.Random, strategy: StrategyName) -> RolloutPolicy:
    drain, progress = timedelta(seconds=chance.choice([1, 5])), timedelta(seconds=30)
    if strategy == "blue-green":
        return RolloutPolicy(strategy, drain=drain, progress=progress, keep=timedelta(seconds=chance.choice([0, 4])))
    if strategy == "destroy-first":
        return RolloutPolicy(strategy, Amount(0), Amount(chance.randint(1, 2)), drain, progress=progress)
    surge = chance.randint(0, 2)
    unavailable = chance.randint(0 if surge else 1, 2)
    return RolloutPolicy(strategy, Amount(surge), Amount(unavailable), drain, progress=progress)


def a_goal(
    policy: RolloutPolicy,
    count: int,
    number: int,
    fallback: Generation | None = None,
    volumes: tuple[VolumeSpec, ...] = (),
) -> Goal:
    group = Group("web", count=count, ports=(Port(8080, 80),), volumes=volumes, rollout=policy)
    config = ServerConfig("podman", ports=(80,), volumes=volumes) if volumes else PLAIN
    return Goal(group, Generation("web", number, Digest(f"sha256:{number:064x}"), config), fallback)


def a_history(seed: int, strategy: StrategyName) -> World:
    """Start a group, replace it three times under faults, let the faults cease, and see that it arrives."""
    chance = random.Random(seed)
    policy, count = a_policy(chance, strategy), chance.randint(1, 5)
    world = World(chance, NO_FAULTS)
    for number in range(1, 5):
        goal = a_goal(policy, count, number)
        world.start_rollout("web")
        world.faults = Faults(death=0.01, flap=0.02, failure=0.1, blind=0.05)
        play(world, goal, rounds=chance.randint(1, 60))
        world.faults = NO_FAULTS
        world.start_rollout("web")
        last = play(world, goal, rounds=400)
        assert last.done, f"seed {seed}: {strategy} did not arrive: {last.progress}"
        assert len(world.servers) == count
        assert {server.generation for server in world.servers.values()} == {number}
    return world


def a_rollout(seed: int) -> int:
    """One group of any strategy, led from one generation to the next under many faults at once; returns the seed.

    In the middle of it servers may drift, and the goal may become a third generation. Shorter than `a_history`: as many
    of these as there is time for are played.
    """
    chance = random.Random(seed)
    strategy = chance.choice(STRATEGIES)
    policy, count = a_policy(chance, strategy), chance.randint(1, 5)
    world = World(chance, Faults(death=0.03, flap=0.05, failure=0.2, blind=0.1))
    if chance.random() < 0.8:
        world.settle(a_goal(policy, count, 1))
    goal = a_goal(policy, count, 2)
    world.start_rollout("web")
    play(world, goal, rounds=chance.randint(1, 7))
    if chance.random() < 0.2:
        world.taint(chance.random())
    if chance.random() < 0.1:
        goal = a_goal(policy, count, 3)
        world.start_rollout("web")
    play(world, goal, rounds=chance.randint(1, 8))
    world.faults = NO_FAULTS
    world.start_rollout("web")
    last = play(world, goal, rounds=400)
    for _ in range(PATIENCE):
        # Calls that were begun under faults may yet fail thrice in a row: it then waits before it tries again.
        if last.done:
            break
        world.pass_time()
        last = play(world, goal, rounds=400)
    arrived = {server.generation for server in world.servers.values()} == {goal.generation.number}
    if not last.done or len(world.servers) != count or not arrived or world.memory.taints.keys() & world.servers:
        raise Violation(f"seed {seed}: {strategy} did not arrive: {last.progress}")
    return seed
