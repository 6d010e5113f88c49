"""Random histories of the planner: what must always hold, holds; when the faults cease, it arrives."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from bluestone.fleet.strategies import blue_green, rolling, steps
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Amount, Group, Port, RolloutPolicy, StrategyName
from bluestone.model.ids import Digest
from bluestone.model.plan import Goal
from bluestone.simulation.history import Faults, Violation, World, play

HISTORIES = 150
NO_FAULTS = Faults()


def a_policy(chance: random.Random, strategy: StrategyName) -> RolloutPolicy:
    drain, progress = timedelta(seconds=chance.choice([1, 5])), timedelta(seconds=30)
    if strategy == "blue-green":
        return RolloutPolicy(strategy, drain=drain, progress=progress, keep=timedelta(seconds=chance.choice([0, 4])))
    if strategy == "destroy-first":
        return RolloutPolicy(strategy, Amount(0), Amount(chance.randint(1, 2)), drain, progress)
    surge = chance.randint(0, 2)
    unavailable = chance.randint(0 if surge else 1, 2)
    return RolloutPolicy(strategy, Amount(surge), Amount(unavailable), drain, progress)


def a_goal(policy: RolloutPolicy, count: int, number: int) -> Goal:
    group = Group("web", count=count, ports=(Port(8080, 80),), rollout=policy)
    config = ServerConfig("podman", ports=(80,))
    return Goal(group, Generation("web", number, Digest(f"sha256:{number:064x}"), config))


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


# Planted bugs: the checkers are worth something only if they see what is wrong.


def _hasty(view: object, members: object, reason: str) -> list[object]:
    return [
        steps.Attach(view.goal.group.name, m.name, reason)  # type: ignore[attr-defined]
        for m in members  # type: ignore[attr-defined]
        if m.backend and not m.attached and not m.pending
    ]


def test_checkers_see_an_attach_before_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "attach", _hasty)
    with pytest.raises(Violation, match="before it is healthy"):
        for seed in range(20):
            a_history(seed, "rolling")


def test_checkers_see_one_server_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "_surge", lambda view: view.goal.group.rollout.max_surge.value + 1)
    with pytest.raises(Violation, match="more than"):
        for seed in range(20):
            a_history(seed, "rolling")


def test_safety_holds_back_a_strategy_that_detaches_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "spare", lambda view, floor, candidates: list(candidates))
    for seed in range(40):
        a_history(seed, "rolling")


def test_checkers_see_a_detach_below_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "spare", lambda view, floor, candidates: list(candidates))
    monkeypatch.setattr("bluestone.fleet.safety.permit", lambda actions, view, floor: (tuple(actions), ()))
    with pytest.raises(Violation, match="leaves"):
        for seed in range(20):
            a_history(seed, "rolling")


def test_checkers_see_cut_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "drained", lambda *_: True)
    monkeypatch.setattr("bluestone.fleet.safety.permit", lambda actions, view, floor: (tuple(actions), ()))
    with pytest.raises(Violation, match="cut before"):
        for seed in range(20):
            a_history(seed, "blue-green")


def test_checkers_see_an_end_that_is_never_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blue_green, "_expired", lambda view, gone: [])
    with pytest.raises(AssertionError, match="did not arrive"):
        for seed in range(20):
            a_history(seed, "blue-green")
