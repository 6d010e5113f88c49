"""Canaries, the way back, pauses and taints: one situation each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.fleet.canary import ENOUGH_TO_ACQUIT, judge
from bluestone.fleet.lint import lint
from bluestone.fleet.plan import plan
from bluestone.fleet.remember import remember
from bluestone.fleet.standing import view
from bluestone.model.action import Create, Destroy
from bluestone.model.group import Amount, RolloutPolicy
from bluestone.model.inventory import Counters, Inventory
from bluestone.model.memory import Canary, Memory, Quarantine, Taint
from bluestone.model.plan import CanaryBegan, CanaryPassed, Goal, Halted, Held, Plan, Returned
from plan_examples import NOW, backend, goal, server, steps

BAKE = timedelta(seconds=60)
CANARY = RolloutPolicy("rolling", Amount(1), Amount(0), canary=Amount(1), bake=BAKE)
OLD = tuple(server(1, slot, slot) for slot in (1, 2, 3))
NEW = server(2, 4, 4)


def the_goal(policy: RolloutPolicy = CANARY) -> Goal:
    return replace(goal(policy, count=3), fallback=goal(policy, number=1).generation)


NOTHING = Counters()


def seen(old: Counters = NOTHING, new: Counters = NOTHING) -> Inventory:
    backends = [replace(backend(each), counters=old) for each in OLD]
    return Inventory(NOW, (*OLD, NEW), (*backends, replace(backend(NEW), counters=new)))


def baking(seconds: float) -> Memory:
    return Memory(next_incarnation=5, canary={"web": Canary(2, NOW - timedelta(seconds=seconds))})


def test_the_bake_begins_when_the_canaries_serve_and_nobody_else_moves() -> None:
    decided = plan([the_goal()], seen(), Memory(next_incarnation=5))
    (began,) = decided.facts
    assert isinstance(began, CanaryBegan)
    assert set(began.baseline) == {each.name for each in (*OLD, NEW)}
    assert decided.actions == ()


def test_canaries_that_fail_are_taken_out_in_the_same_look_and_the_group_goes_back() -> None:
    decided = plan([the_goal()], seen(Counters(60, 0, 5), Counters(20, 20, 5)), baking(1))
    assert [type(fact) for fact in decided.facts] == [Halted, Returned]
    assert steps(decided.actions) == [("detach", NEW.name)]
    after = remember(baking(1), decided.facts, NOW)
    assert list(after.quarantined["web"]) == [2]
    only_old = Inventory(NOW, OLD, tuple(backend(each) for each in OLD))
    again = plan([the_goal()], only_old, after)
    assert again.actions == ()
    assert again.progress[0].state == "returned"
    assert "20 of 20 requests failed" in again.progress[0].waiting[0]


def test_a_quarantine_ends_when_the_group_is_declared_otherwise() -> None:
    only_old = Inventory(NOW, OLD, tuple(backend(each) for each in OLD))
    quarantined = Memory(5, quarantined={"web": {2: Quarantine("it failed", the_goal().group.digest())}})
    assert plan([the_goal()], only_old, quarantined).actions == ()
    other = the_goal(replace(CANARY, progress=timedelta(minutes=9)))
    assert any(isinstance(a, Create) for a in plan([other], only_old, quarantined).actions)


def test_good_canaries_let_the_rest_follow() -> None:
    decided = plan([the_goal()], seen(Counters(300, 1, 5), Counters(ENOUGH_TO_ACQUIT, 0, 6)), baking(60))
    assert [type(fact) for fact in decided.facts] == [CanaryPassed]
    assert ("detach", OLD[2].name) in steps(decided.actions)


@pytest.mark.parametrize(("choice", "fact"), [("pause", Held), ("go-on", CanaryPassed)])
def test_too_few_requests_pause_or_go_on_as_declared(choice: str, fact: type) -> None:
    policy = replace(CANARY, inconclusive=choice)
    decided = plan([the_goal(policy)], seen(Counters(9, 0, 5), Counters(3, 0, 5)), baking(60))
    assert [type(each) for each in decided.facts] == [fact]
    assert (decided.progress[0].state == "paused") == (choice == "pause")


def test_slow_canaries_are_bad_when_the_bake_is_over() -> None:
    slow = seen(Counters(300, 0, 5), Counters(300, 0, 50))
    assert plan([the_goal()], slow, baking(1)).facts == ()
    assert isinstance(plan([the_goal()], slow, baking(60)).facts[0], Halted)


@given(requests=st.integers(1, 5000), errors=st.integers(0, 50), share=st.integers(1, 5))
def test_canaries_that_fail_as_often_as_the_old_are_never_bad(requests: int, errors: int, share: int) -> None:
    errors = min(errors, requests)
    world = seen(Counters(requests * share, errors * share, 5), Counters(requests, errors, 5))
    assert judge(view(the_goal(), world, baking(60)), baking(60).canary["web"]).is_ != "bad"


def test_counts_from_before_the_bake_are_not_the_canaries() -> None:
    memory = Memory(5, canary={"web": Canary(2, NOW, {NEW.name: Counters(500, 500)})})
    assert plan([the_goal()], seen(Counters(100), Counters(600, 500)), memory).facts == ()


def test_min_ready_keeps_the_old_until_the_new_have_answered_for_so_long() -> None:
    policy = replace(CANARY, canary=Amount(0), min_ready=timedelta(seconds=10))
    early = Memory(5, attached_at={NEW.name: NOW - timedelta(seconds=9)})
    assert plan([the_goal(policy)], seen(), early).actions == ()
    late = Memory(5, attached_at={NEW.name: NOW - timedelta(seconds=10)})
    assert steps(plan([the_goal(policy)], seen(), late).actions) == [("detach", OLD[2].name)]


def test_long_sessions_are_waited_for_where_that_is_declared() -> None:
    policy = replace(CANARY, canary=Amount(0), long_sessions="wait")
    held = Inventory(NOW, (OLD[0], NEW), (backend(OLD[0], "detached", sessions=1), backend(NEW)))
    memory = Memory(5, detached_at={OLD[0].name: NOW - timedelta(days=1)})
    alone = replace(the_goal(policy), group=replace(the_goal(policy).group, count=1))
    assert plan([alone], held, memory).actions == ()


@pytest.mark.parametrize("whose", ["", "web"])
def test_a_pause_stops_everything_even_for_the_dead(whose: str) -> None:
    dead = Inventory(NOW, (replace(NEW, phase="dead"),))
    decided = plan([the_goal()], dead, Memory(5, paused={whose: "paused by eve"}))
    assert decided.actions == ()
    assert (decided.progress[0].state, decided.progress[0].waiting) == ("paused", ("paused by eve",))


@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_a_tainted_server_is_replaced_within_the_budget_with_its_reason(strategy: str) -> None:
    policy = RolloutPolicy(strategy)  # type: ignore[arg-type]
    mine = tuple(server(2, slot, slot) for slot in (1, 2, 3))
    world = Inventory(NOW, mine, tuple(backend(each) for each in mine))
    memory = Memory(4, taints={mine[0].name: Taint("drift", "somebody logged in")}, settled_at={"web": NOW})
    (create,) = plan([goal(policy, count=3)], world, memory).actions
    assert isinstance(create, Create)
    assert "somebody logged in" in create.reason
    fourth = server(2, 4, 4)
    world = Inventory(NOW, (*mine, fourth), tuple(backend(each) for each in (*mine, fourth)))
    (detach,) = plan([goal(policy, count=3)], world, replace(memory, next_incarnation=5)).actions
    assert (detach.verb, detach.server, detach.reason) == ("detach", mine[0].name, "somebody logged in")


def test_servers_that_die_together_with_the_old_do_not_condemn_the_new() -> None:
    dead = [replace(each, phase="dead") for each in (OLD[0], NEW, server(2, 5, 5), server(2, 6, 6))]
    decided = plan([the_goal()], Inventory(NOW, tuple(dead)), Memory(7))
    assert not any(isinstance(fact, Halted) for fact in decided.facts)


def test_all_servers_of_a_generation_that_served_may_die_at_once_and_are_made_again() -> None:
    dead = tuple(replace(server(2, slot, slot), phase="dead") for slot in (1, 2, 3))
    decided = plan([the_goal()], Inventory(NOW, dead), Memory(4, settled_at={"web": NOW}))
    assert sum(isinstance(action, Create) for action in decided.actions) == 3


def test_lint_refuses_a_plan_that_destroys_what_the_balancer_knows() -> None:
    bad = Plan((Destroy("web", OLD[0].name, "a mistake"),))
    wrong = lint(bad, [the_goal()], seen(), Memory(5))
    assert any("balancer knows it" in each for each in wrong)
    blind = replace(seen(), gaps=("podman",))
    assert lint(bad, [the_goal()], blind, Memory(5)) == ["it acts on an incomplete view"]
