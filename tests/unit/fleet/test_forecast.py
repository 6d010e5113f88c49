from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.fleet import explain
from bluestone.fleet.forecast import Forecast, forecast
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Amount, Group, Port, RolloutPolicy
from bluestone.model.ids import Digest
from bluestone.model.inventory import Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal
from bluestone.model.server import Endpoint, Server

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
POLICIES = {
    "blue-green": RolloutPolicy("blue-green"),
    "kept": RolloutPolicy("blue-green", keep=timedelta(hours=1)),
    "rolling": RolloutPolicy("rolling", Amount(1), Amount(0)),
    "destroy-first": RolloutPolicy("destroy-first", Amount(0), Amount(1)),
}


def goal(policy: RolloutPolicy, count: int, number: int) -> Goal:
    group = Group("web", count=count, ports=(Port(8080, 80),), rollout=policy)
    config = ServerConfig("podman", ports=(80,))
    return Goal(group, Generation("web", number, Digest(f"sha256:{number:064x}"), config))


def counts(found: Forecast) -> dict[str, int]:
    verbs = [step.action.verb for step in found.steps]
    return {verb: verbs.count(verb) for verb in sorted(set(verbs))}


@given(count=st.integers(1, 12), name=st.sampled_from(sorted(POLICIES)))
def test_a_new_group_needs_each_step_once_a_server(count: int, name: str) -> None:
    found = forecast([goal(POLICIES[name], count, 1)], Inventory(NOW), Memory())
    assert counts(found) == {"attach": count, "create": count, "enrol": count}
    assert found.spans[0].highest_total == count
    assert found.halted == ()


def running(count: int, number: int) -> Inventory:
    first = forecast([goal(POLICIES["rolling"], count, number)], Inventory(NOW), Memory())
    creates = [step.action for step in first.steps if step.action.verb == "create"]
    servers: list[Server] = []
    for create in creates:
        born = create.coming(NOW)  # type: ignore[union-attr]
        servers.append(replace(born, phase="running", endpoint=Endpoint("h", {80: 80})))
    from bluestone.model.inventory import Backend

    backends = tuple(Backend(server.name, "web", "attached", "up", 0) for server in servers)
    return Inventory(NOW, tuple(servers), backends)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("blue-green", 3, 6), ("kept", 3, 6), ("rolling", 3, 5), ("destroy-first", 2, 3)],
)
def test_a_replacement_passes_through_the_capacity_that_its_strategy_promises(
    name: str, lowest: int, highest: int
) -> None:
    found = forecast([goal(POLICIES[name], 3, 2)], running(3, 1), Memory(next_incarnation=4))
    assert counts(found) == dict.fromkeys(("attach", "create", "destroy", "detach", "dismiss", "enrol"), 3)
    assert (found.spans[0].lowest_serving, found.spans[0].highest_total) == (lowest, highest)


def test_nothing_is_left_to_do_at_the_goal() -> None:
    found = forecast([goal(POLICIES["rolling"], 3, 1)], running(3, 1), Memory())
    assert found.steps == ()
    assert explain.text(found).startswith("nothing to do")


def test_the_id_names_the_plan_and_not_the_attempt() -> None:
    def plan_id(incarnation: int, world: Inventory, number: int = 2) -> str:
        memory = Memory(next_incarnation=incarnation)
        return forecast([goal(POLICIES["rolling"], 3, number)], world, memory).id

    world = running(3, 1)
    assert plan_id(4, world) == plan_id(9, world)
    assert plan_id(4, world) != plan_id(4, world, number=3)
    smaller = Inventory(NOW, world.servers[:2], world.backends[:2])
    assert plan_id(4, world) != plan_id(4, smaller)


def test_the_text_gives_reasons_and_bounds() -> None:
    text = explain.text(forecast([goal(POLICIES["rolling"], 3, 2)], running(3, 1), Memory(next_incarnation=4)))
    assert "replaced by generation 2" in text
    assert "web: at least 3 serve, at most 5 exist (its budget: 3 and 4, besides 1 on the way out)" in text
    assert "if servers of web start as most do" in text
    assert text.splitlines()[-1].startswith("plan ")
