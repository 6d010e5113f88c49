"""Groups with volumes: where their servers come, and what is refused."""

from __future__ import annotations

from msgspec.structs import replace

from bluestone.fleet.budget import budget
from bluestone.fleet.lint import lint
from bluestone.fleet.plan import plan
from bluestone.fleet.safety import permit
from bluestone.fleet.standing import view
from bluestone.model.action import Create
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Amount, RolloutPolicy
from bluestone.model.inventory import Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal, Plan
from bluestone.model.server import Server
from bluestone.model.volume import VolumeSpec, volume_name
from plan_examples import NOW, backend, goal, server

DATA = (VolumeSpec("data", "/var/lib/data"),)
ONE_AWAY = RolloutPolicy("destroy-first", Amount(0), Amount(1))


def pinned(policy: RolloutPolicy = ONE_AWAY, *, number: int = 2, count: int = 1) -> Goal:
    plain = goal(policy, number=number, count=count)
    config = ServerConfig("podman", ports=(80,), volumes=DATA)
    return replace(plain, group=replace(plain.group, volumes=DATA), generation=replace(plain.generation, config=config))


def holder(number: int, slot: int, incarnation: int) -> Server:
    config = pinned(number=number).generation.config.digest()
    return replace(server(number, slot, incarnation), volumes=(volume_name("web", slot, "data"),), config=config)


def decide(of: Goal, *servers: Server, memory: Memory | None = None) -> Plan:
    memory = memory or Memory(next_incarnation=9)
    inventory = Inventory(NOW, servers, tuple(backend(each) for each in servers if each.phase == "running"))
    decided = plan([of], inventory, memory)
    assert lint(decided, [of], inventory, memory) == []
    return decided


def test_the_old_goes_before_the_new_comes_whatever_the_strategy() -> None:
    for policy in (ONE_AWAY, RolloutPolicy("blue-green"), RolloutPolicy("rolling", Amount(1), Amount(1))):
        decided = decide(pinned(policy), holder(1, 1, 1))
        assert [action.verb for action in decided.actions] == ["detach"]


def test_the_place_of_a_dead_server_is_waited_for() -> None:
    dead = replace(holder(2, 1, 1), phase="dead")
    decided = decide(pinned(count=2), dead, holder(2, 2, 2))
    assert [action.verb for action in decided.actions] == ["destroy"], "and none is created in slot 3"


def test_the_successor_comes_into_the_slot_that_is_free() -> None:
    (created,) = decide(pinned(count=3), holder(2, 1, 1), holder(2, 3, 3)).actions
    assert isinstance(created, Create)
    assert created.slot == 2


def test_servers_beyond_the_declared_slots_go_even_where_the_number_is_right() -> None:
    decided = decide(pinned(count=2), holder(2, 2, 1), holder(2, 3, 2))
    (detached,) = decided.actions
    assert detached.verb == "detach"
    assert "slot 3" in detached.reason


def test_a_volume_that_is_held_is_given_to_nobody_else() -> None:
    of = pinned(count=2)
    held, stray = holder(2, 1, 1), Create(1, 9, of.generation, "a mistake")
    inventory = Inventory(NOW, (held,), (backend(held),))
    seen = view(of, inventory, Memory())
    allowed, refused = permit([stray], seen, budget(seen))
    assert allowed == ()
    assert "volumes of slot 1" in refused[0].why
    wrong = lint(Plan((stray,)), [of], inventory, Memory())
    assert any(f"which is on {held.name}" in each for each in wrong)


def test_no_server_is_given_the_volumes_of_a_slot_that_is_not_declared() -> None:
    of = pinned(count=1)
    wrong = lint(Plan((Create(4, 9, of.generation, "a mistake"),)), [of], Inventory(NOW), Memory())
    assert any("slot 4, which is not declared" in each for each in wrong)


def test_without_volumes_a_configuration_has_the_digest_that_it_always_had() -> None:
    assert ServerConfig("podman", (80,)).digest() != ServerConfig("podman", (80,), volumes=DATA).digest()
    old = "sha256:e0330dc6c227a33fca5b41827285b4d8e73f1ce0d7856cb41ba9ab5f3cac80f3"
    assert ServerConfig("podman", (80,)).digest() == old
