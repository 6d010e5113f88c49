"""Random histories of the planner: what must always hold, holds; when the faults cease, it arrives."""

import random
from datetime import timedelta

import pytest
from msgspec.structs import replace

from bluestone.model.group import RolloutPolicy, StrategyName
from bluestone.simulation.history import Faults, World, play
from planner_histories import NO_FAULTS, a_goal, a_history, a_policy, a_rollout

HISTORIES = 150


@pytest.mark.parametrize("strategy", ["blue-green", "rolling", "destroy-first"])
def test_histories_keep_the_invariants_and_arrive(strategy: StrategyName) -> None:
    for seed in range(HISTORIES):
        a_history(seed, strategy)


@pytest.mark.parametrize("strategy", ["blue-green", "rolling", "destroy-first"])
def test_a_broken_image_halts_and_the_old_goes_on_serving(strategy: StrategyName) -> None:
    for seed in range(40):
        chance = random.Random(seed)
        policy, count = a_policy(chance, strategy), chance.randint(2, 5)
        good, bad = a_goal(policy, count, 1), a_goal(policy, count, 2)
        world = World(chance, Faults(broken=frozenset({bad.generation.image})))
        assert play(world, good, rounds=200).done
        world.start_rollout("web")
        last = play(world, bad, rounds=400)
        assert [group.state for group in last.progress] == ["halted"], f"seed {seed}: {last.progress}"
        serving = [b for b in world.backends.values() if b.admission == "attached" and b.health == "up"]
        away = policy.max_unavailable.value if strategy != "blue-green" else 0
        assert len(serving) >= count - away
        assert all(world.servers[backend.server].generation == 1 for backend in serving)
        assert {server.generation for server in world.servers.values()} <= {1}, "the failed ones are removed"


def test_going_back_needs_only_the_balancer_while_the_old_are_kept() -> None:
    policy = RolloutPolicy("blue-green", keep=timedelta(minutes=5))
    first, second = a_goal(policy, 3, 1), a_goal(policy, 3, 2)
    world = World(random.Random(1), NO_FAULTS)
    assert play(world, first, rounds=100).done
    play(world, second, rounds=60)
    before = set(world.names)
    world.start_rollout("web")
    play(world, replace(first), rounds=60)
    assert world.names == before, "no server had to be created"
    serving = {b.server for b in world.backends.values() if b.admission == "attached"}
    assert {world.servers[name].generation for name in serving} == {1}


@pytest.mark.parametrize("strategy", ["blue-green", "rolling", "destroy-first"])
def test_a_broken_image_is_left_by_itself_and_all_of_the_old_serve_again(strategy: StrategyName) -> None:
    for seed in range(40):
        chance = random.Random(seed)
        policy, count = a_policy(chance, strategy), chance.randint(1, 5)
        good = a_goal(policy, count, 1)
        bad = a_goal(policy, count, 2, good.generation)
        world = World(chance, Faults(broken=frozenset({bad.generation.image})))
        assert play(world, good, rounds=200).done
        world.start_rollout("web")
        last = play(world, bad, rounds=600)
        assert [group.state for group in last.progress] == ["returned"], f"seed {seed}: {last.progress}"
        assert {server.generation for server in world.servers.values()} == {1}
        names = set(world.names)
        world.start_rollout("web")
        assert [group.state for group in play(world, bad, rounds=60).progress] == ["returned"]
        assert world.names == names, "what is quarantined is not tried again"


@pytest.mark.parametrize("seed", [20087, 25256])
def test_who_is_superseded_and_in_the_way_is_acted_on_once(seed: int) -> None:
    """A third generation came while servers of the first were kept, and some of the second had drifted."""
    assert a_rollout(seed) == seed
