"""Single decisions of the planner, one situation each."""

from datetime import timedelta

from msgspec.structs import replace

from bluestone.fleet.lint import lint
from bluestone.fleet.plan import plan
from bluestone.model.action import Action, Create, Destroy, Detach, Dismiss
from bluestone.model.group import Amount, Group, RolloutPolicy
from bluestone.model.inventory import Backend, Inventory
from bluestone.model.memory import Failures, Memory, Quarantine, Taint
from bluestone.model.plan import Died, Goal, Halted, WentDown
from plan_examples import NOW, backend, goal, server, steps

BLUE_GREEN = RolloutPolicy("blue-green", drain=timedelta(seconds=10))
ROLLING = RolloutPolicy("rolling", Amount(1), Amount(0), drain=timedelta(seconds=10))
DESTROY_FIRST = RolloutPolicy("destroy-first", Amount(0), Amount(1), drain=timedelta(seconds=10))
OLD = server(1, slot=1, incarnation=1)
NEW = server(2, slot=2, incarnation=2)


def test_a_new_group_is_created_in_the_lowest_slots_with_numbers_never_used() -> None:
    decided = plan([goal(BLUE_GREEN, count=3)], Inventory(NOW), Memory(next_incarnation=7))
    creates = [action for action in decided.actions if isinstance(action, Create)]
    assert [(create.slot, create.incarnation) for create in creates] == [(1, 7), (2, 8), (3, 9)]
    assert len({create.server for create in creates}) == 3


def test_blue_green_leaves_the_old_alone_until_the_new_serves() -> None:
    seen = Inventory(NOW, (OLD, NEW), (backend(OLD), backend(NEW, "detached", "down")))
    assert plan([goal(BLUE_GREEN)], seen, Memory()).actions == ()


def test_blue_green_detaches_the_old_only_after_the_new_serves() -> None:
    ready = Inventory(NOW, (OLD, NEW), (backend(OLD), backend(NEW, "detached")))
    assert steps(plan([goal(BLUE_GREEN)], ready, Memory()).actions) == [("attach", NEW.name)]
    serving = Inventory(NOW, (OLD, NEW), (backend(OLD), backend(NEW)))
    assert steps(plan([goal(BLUE_GREEN)], serving, Memory()).actions) == [("detach", OLD.name)]


def test_blue_green_has_no_third_set_while_servers_of_the_new_one_are_tainted() -> None:
    old = [server(1, slot=slot, incarnation=slot) for slot in (1, 2)]
    new = [server(2, slot=slot, incarnation=slot) for slot in (3, 4)]
    drifted = Memory(9, taints={new[0].name: Taint("drift", "it drifted")})
    backends = (*map(backend, old), *(backend(each, "detached") for each in new))
    before = plan([goal(BLUE_GREEN, count=2)], Inventory(NOW, (*old, *new), backends), drifted)
    assert steps(before.actions) == [("dismiss", new[0].name)], (
        "it serves nobody: it goes, and its successor comes then"
    )
    switched = (*(backend(each, "detached") for each in old), *map(backend, new))
    kept = replace(BLUE_GREEN, keep=timedelta(minutes=5))
    after = plan(
        [goal(kept, count=2)], Inventory(NOW, (*old, *new), switched), replace(drifted, settled_at={"web": NOW})
    )
    assert steps(after.actions) == [("dismiss", old[0].name)], "one that is only kept makes room"


def test_an_old_server_that_the_balancer_lost_is_brought_back_while_too_few_serve() -> None:
    old = [server(1, slot=slot, incarnation=slot) for slot in (1, 2)]
    remembered = Memory(9, attached_at={each.name: NOW for each in old})

    def done(policy: RolloutPolicy, *backends: Backend, memory: Memory = remembered) -> list[tuple[str, str]]:
        decided = plan([goal(policy, count=2)], Inventory(NOW, tuple(old), backends), memory)
        assert not lint(decided, [goal(policy, count=2)], Inventory(NOW, tuple(old), backends), memory)
        return [step for step in steps(decided.actions) if step[0] != "create"]

    for policy in (BLUE_GREEN, ROLLING):
        assert done(policy) == [("enrol", each.name) for each in old]
        checked = [backend(each, "detached") for each in old]
        assert done(policy, *checked) == [("attach", each.name) for each in old]
    detached = replace(remembered, detached_at={each.name: NOW for each in old})
    assert done(ROLLING, memory=detached) == [("destroy", each.name) for each in old], "these were on their way"


def test_a_tainted_server_that_the_balancer_lost_makes_room_where_enough_serve() -> None:
    remembered = Memory(9, attached_at={NEW.name: NOW}, taints={NEW.name: Taint("drift", "it drifted")})
    seen = Inventory(NOW, (OLD, NEW), (backend(OLD),))
    assert steps(plan([goal(BLUE_GREEN)], seen, remembered).actions) == [("destroy", NEW.name)]


def test_servers_that_a_new_balancer_has_not_checked_yet_stay() -> None:
    old = [server(1, slot=slot, incarnation=slot) for slot in (1, 2)]
    for health, gone in (("unknown", 0), ("down", 2)):
        seen = Inventory(NOW, tuple(old), tuple(backend(each, health=health) for each in old))
        decided = plan([goal(ROLLING, count=2)], seen, Memory(9))
        assert sum(isinstance(action, Detach) for action in decided.actions) == gone


def test_destroy_first_lets_the_old_go_and_gives_its_slot_to_the_successor() -> None:
    there = Inventory(NOW, (OLD,), (backend(OLD),))
    assert steps(plan([goal(DESTROY_FIRST)], there, Memory()).actions) == [("detach", OLD.name)]
    (create,) = plan([goal(DESTROY_FIRST)], Inventory(NOW), Memory(next_incarnation=2)).actions
    assert isinstance(create, Create)
    assert create.slot == OLD.slot


def test_a_successor_waits_for_no_more_of_those_that_are_being_stopped_than_it_must() -> None:
    old = [server(1, slot=slot, incarnation=slot) for slot in (1, 2, 3)]
    new = server(2, slot=4, incarnation=4)

    def created(policy: RolloutPolicy, *stopping: str) -> int:
        there = tuple(replace(each, phase="stopping") if each.name in stopping else each for each in (*old, new))
        backends = tuple(backend(each) for each in there if each.phase == "running")
        seen = Inventory(NOW, there, backends, pending=frozenset(stopping))
        decided = plan([goal(policy, count=3)], seen, Memory(next_incarnation=9)).actions
        return sum(isinstance(action, Create) for action in decided)

    assert created(ROLLING) == 0
    assert created(ROLLING, old[2].name) == 1, "as many as the surge do not count"
    assert created(ROLLING, old[2].name, old[1].name) == 1, "the second one does, but gave its place up"
    assert created(replace(ROLLING, max_surge=Amount(0), max_unavailable=Amount(1)), old[2].name) == 0


def test_a_successor_is_started_beside_a_server_that_is_drained() -> None:
    old = [server(1, slot=slot, incarnation=slot) for slot in (1, 2, 3)]
    new = server(2, slot=4, incarnation=4)

    def created(*drained: Backend) -> int:
        others = [backend(each) for each in (*old, new) if each.name not in {one.server for one in drained}]
        seen = Inventory(NOW, (*old, new), (*others, *drained))
        decided = plan([goal(ROLLING, count=3)], seen, Memory(next_incarnation=9, detached_at={old[2].name: NOW}))
        return sum(isinstance(action, Create) for action in decided.actions)

    assert created(backend(old[2], "detached")) == 1, "while the balancer still forgets it"
    assert created(backend(old[2], "detached", sessions=1)) == 0, "it still serves somebody"
    assert created(backend(new, "detached")) == 0, "that one is new"


def test_sessions_are_waited_for_and_cut_at_the_deadline() -> None:
    holding = Inventory(NOW, (OLD, NEW), (backend(OLD, "detached", sessions=2), backend(NEW)))
    early = Memory(detached_at={OLD.name: NOW - timedelta(seconds=9)})
    assert plan([goal(ROLLING)], holding, early).actions == ()
    late = Memory(detached_at={OLD.name: NOW - timedelta(seconds=10)})
    (dismiss,) = plan([goal(ROLLING)], holding, late).actions
    assert isinstance(dismiss, Dismiss)
    assert dismiss.sever
    assert "2 sessions" in dismiss.reason


def test_a_detach_that_nobody_remembers_is_repeated_so_that_its_deadline_begins() -> None:
    holding = Inventory(NOW, (OLD, NEW), (backend(OLD, "detached", sessions=2), backend(NEW)))
    (action,) = plan([goal(ROLLING)], holding, Memory()).actions
    assert isinstance(action, Detach)


def test_an_incomplete_view_changes_nothing() -> None:
    blind = Inventory(NOW, (OLD,), (), gaps=("the balancer did not answer",))
    decided = plan([goal(BLUE_GREEN)], blind, Memory())
    assert decided.actions == ()
    assert decided.progress[0].state == "working"
    assert "did not answer" in decided.progress[0].waiting[0]


def test_a_server_being_acted_on_is_left_alone() -> None:
    seen = Inventory(NOW, (OLD, NEW), (backend(OLD), backend(NEW)), pending=frozenset({OLD.name}))
    assert plan([goal(BLUE_GREEN)], seen, Memory()).actions == ()


def test_a_dead_server_is_remembered_taken_out_and_replaced() -> None:
    dead = replace(NEW, phase="dead", detail="exited with status 137")
    seen = Inventory(NOW, (dead,), (backend(dead, health="down"),))
    decided = plan([goal(BLUE_GREEN)], seen, Memory(next_incarnation=3))
    assert decided.facts == (Died("web", dead.name, "exited with status 137"),)
    assert [verb for verb, _ in steps(decided.actions)] == ["detach", "create"]


def test_a_server_that_bluestone_was_destroying_does_not_count_as_a_death() -> None:
    dead = replace(OLD, phase="dead")
    seen = Inventory(NOW, (dead, NEW), (backend(NEW),))
    decided = plan([goal(BLUE_GREEN)], seen, Memory(condemned=frozenset({OLD.name})))
    assert not any(isinstance(fact, Died) for fact in decided.facts)
    assert steps(decided.actions) == [("destroy", OLD.name)]


def test_what_a_crash_left_half_made_is_removed() -> None:
    half = server(2, slot=2, incarnation=2, phase="creating")
    seen = Inventory(NOW, (OLD, half), (backend(OLD),))
    actions = plan([goal(BLUE_GREEN)], seen, Memory(next_incarnation=3)).actions
    assert ("destroy", half.name) in steps(actions)
    assert any(isinstance(action, Create) for action in actions)


def test_three_deaths_halt_a_small_group() -> None:
    dead = replace(NEW, phase="dead")
    seen = Inventory(NOW, (OLD, dead), (backend(OLD),))
    decided = plan([goal(BLUE_GREEN)], seen, Memory(deaths={"web": 2}))
    halts = [fact for fact in decided.facts if isinstance(fact, Halted)]
    assert halts[0].server == dead.name
    assert not any(isinstance(action, Create) for action in decided.actions)


def test_not_healthy_in_time_halts_and_removes_only_what_never_served() -> None:
    late = replace(NEW, created_at=NOW - timedelta(minutes=2))
    seen = Inventory(NOW, (OLD, late), (backend(OLD), backend(late, "detached", "down")))
    decided = plan([goal(BLUE_GREEN)], seen, Memory())
    assert [fact.server for fact in decided.facts if isinstance(fact, Halted)] == [late.name]
    assert steps(decided.actions) == [("dismiss", late.name)]


def test_not_healthy_in_time_is_a_death_once_the_generation_has_served() -> None:
    late = replace(NEW, created_at=NOW - timedelta(minutes=2))
    seen = Inventory(NOW, (late,), (backend(late, "detached", "down"),))
    decided = plan([goal(BLUE_GREEN)], seen, Memory(settled_at={"web": NOW}))
    assert [fact.server for fact in decided.facts if isinstance(fact, Died)] == [late.name]
    assert ("dismiss", late.name) in steps(decided.actions), "it is replaced"
    young = replace(NEW, created_at=NOW - timedelta(minutes=1))
    seen = Inventory(NOW, (young,), (backend(young, "detached", "down"),))
    assert plan([goal(BLUE_GREEN)], seen, Memory(settled_at={"web": NOW})).facts == ()


def test_reasons_are_those_of_the_hours_where_these_want_another_count() -> None:
    asleep = replace(goal(BLUE_GREEN, count=0), declared=1, because="it is closed until Mon")
    decided = plan([asleep], Inventory(NOW, (NEW,), (backend(NEW),)), Memory())
    assert [(action.verb, action.reason) for action in decided.actions] == [("detach", "it is closed until Mon")]
    awake = replace(goal(BLUE_GREEN), because="it opens at 08:00")
    (create,) = plan([awake], Inventory(NOW), Memory()).actions
    assert create.reason.endswith("; it opens at 08:00")


def test_a_quarantine_holds_whatever_the_hour() -> None:
    full = goal(BLUE_GREEN, count=3)
    quarantined = {"web": {2: Quarantine("it failed", full.group.digest())}}
    fewer = replace(full, group=replace(full.group, count=1), declared=3)
    for each in (full, fewer):
        assert plan([each], Inventory(NOW), Memory(quarantined=quarantined)).actions == ()


def test_a_server_that_is_taken_away_may_become_unhealthy() -> None:
    """On its way out it fails its check, and it is older than any deadline: nothing is wrong with that."""
    old = replace(NEW, created_at=NOW - timedelta(hours=1))
    leaving = Inventory(NOW, (old,), (backend(old, "detached", "down"),))
    decided = plan([goal(BLUE_GREEN, count=0)], leaving, Memory(detached_at={old.name: NOW}))
    assert decided.facts == ()
    assert steps(decided.actions) == [("dismiss", old.name)]


def test_a_kept_server_has_its_time_from_the_rollback_on() -> None:
    kept = replace(NEW, created_at=NOW - timedelta(hours=1))
    seen = Inventory(NOW, (OLD, kept), (backend(OLD), backend(kept, "detached", "down")))
    begun = plan([goal(BLUE_GREEN)], seen, Memory(started_at={"web": NOW - timedelta(seconds=1)}))
    assert not any(isinstance(fact, Halted) for fact in begun.facts)
    late = plan([goal(BLUE_GREEN)], seen, Memory(started_at={"web": NOW - BLUE_GREEN.progress}))
    assert any(isinstance(fact, Halted) for fact in late.facts)


def test_failed_calls_are_repeated_ever_more_slowly_and_for_ever() -> None:
    def after(count: int, seconds: float) -> tuple[Action, ...]:
        failed = Failures(count, NOW - timedelta(seconds=seconds), "no space left on device")
        return plan([goal(BLUE_GREEN)], Inventory(NOW), Memory(failures={"web": failed})).actions

    assert after(1, 0.9) == ()
    assert len(after(1, 1.0)) == 1
    assert after(2, 1.9) == ()
    assert len(after(2, 2.0)) == 1
    assert after(3, 59.9) == ()
    assert len(after(3, 60.0)) == 1, "a probe whether it works again"


def test_a_server_that_fails_its_check_for_too_long_is_replaced() -> None:
    seen = Inventory(NOW, (NEW,), (backend(NEW, health="down"),))
    first = plan([goal(BLUE_GREEN)], seen, Memory())
    assert first.facts == (WentDown("web", NEW.name, "it fails its health check"),)
    assert first.actions == ()
    since = NOW - BLUE_GREEN.progress
    later = plan([goal(BLUE_GREEN)], seen, Memory(next_incarnation=3, down_since={NEW.name: since}))
    assert [verb for verb, _ in steps(later.actions)] == ["detach", "create"]


def test_fewer_declared_servers_let_the_highest_slots_go() -> None:
    three = tuple(server(2, slot, slot) for slot in (1, 2, 3))
    seen = Inventory(NOW, three, tuple(backend(one) for one in three))
    assert steps(plan([goal(ROLLING, count=1)], seen, Memory()).actions) == [
        ("detach", three[2].name),
        ("detach", three[1].name),
    ]


def test_a_backend_without_a_server_is_forgotten() -> None:
    seen = Inventory(NOW, (NEW,), (backend(NEW), backend(OLD, "detached", "down")))
    assert steps(plan([goal(BLUE_GREEN)], seen, Memory()).actions) == [("dismiss", OLD.name)]


def test_servers_of_a_group_that_nobody_declares_are_drained_and_destroyed() -> None:
    seen = Inventory(NOW, (OLD,), (backend(OLD),))
    assert steps(plan([], seen, Memory()).actions) == [("detach", OLD.name)]
    assert steps(plan([], Inventory(NOW, (OLD,)), Memory()).actions) == [("destroy", OLD.name)]


def test_the_plan_of_the_goal_is_empty() -> None:
    decided = plan([goal(BLUE_GREEN)], Inventory(NOW, (NEW,), (backend(NEW),)), Memory())
    assert decided.actions == ()
    assert decided.done


def test_servers_without_ports_serve_as_soon_as_they_run() -> None:
    worker = Goal(Group("web", count=1, rollout=ROLLING), goal(ROLLING).generation)
    seen = Inventory(NOW, (OLD, NEW))
    assert steps(plan([worker], seen, Memory()).actions) == [("destroy", OLD.name)]
    assert not any(isinstance(a, Destroy) for a in plan([worker], Inventory(NOW, (OLD,)), Memory()).actions)


def test_a_server_that_is_too_many_and_already_dismissed_is_only_destroyed() -> None:
    """It is not enrolled again on its way out."""
    decided = plan([goal(BLUE_GREEN, count=0)], Inventory(NOW, (NEW,)), Memory(next_incarnation=3))
    assert steps(decided.actions) == [("destroy", NEW.name)]
