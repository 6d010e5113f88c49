"""Servers that die again and again are started ever more slowly, and calm lets them go at once again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.fleet.brake import CALM, LONGEST_WAIT, after_death, wait_after
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.recall import recall
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.fleet.plan import plan
from bluestone.fleet.remember import begun, remember
from bluestone.model.action import Create
from bluestone.model.group import RolloutPolicy
from bluestone.model.inventory import Inventory
from bluestone.model.memory import Memory, Streak
from bluestone.model.plan import Died, Held
from plan_examples import NOW, backend, goal, server

ROLLING = RolloutPolicy("rolling")
SECOND = timedelta(seconds=1)


def test_a_streak_grows_until_it_is_calm() -> None:
    streak = after_death(None, NOW)
    streak = after_death(streak, NOW + CALM - SECOND)
    assert streak.deaths == 2
    assert after_death(streak, streak.last_at + CALM).deaths == 1


def test_what_a_group_bears_costs_nothing_and_then_as_many_double_the_wait() -> None:
    waits = [wait_after(Streak(deaths, NOW), 3).total_seconds() for deaths in range(1, 14)]
    assert waits == [0, 0, 0, 10, 10, 10, 20, 20, 20, 40, 40, 40, 80]
    assert wait_after(Streak(100, NOW), 50).total_seconds() == 10, "a host that restarted twice"
    assert wait_after(Streak(10**6, NOW), 3) == LONGEST_WAIT < CALM


def dead_again(deaths: int, *, since: timedelta) -> Memory:
    return Memory(9, settled_at={"web": NOW - timedelta(hours=1)}, streaks={"web": Streak(deaths, NOW - since)})


def test_a_braked_group_starts_nothing_until_its_time_and_says_when() -> None:
    one = replace(server(2, 1, 8), phase="dead")
    memory = replace(dead_again(4, since=5 * SECOND), died=frozenset([one.name]))
    held = plan([goal(ROLLING)], Inventory(NOW), memory)
    assert not any(isinstance(action, Create) for action in held.actions)
    (waiting,) = [text for text in held.progress[0].waiting if "one after the other" in text]
    assert waiting.endswith("the next is started at 08:00:05 UTC")
    later = plan([goal(ROLLING)], Inventory(NOW + 5 * SECOND), memory)
    assert any(isinstance(action, Create) for action in later.actions)


def test_what_serves_is_left_as_it_is_while_braked() -> None:
    mine = server(2, 1, 1)
    world = Inventory(NOW, (mine,), (backend(mine),))
    assert plan([goal(ROLLING)], world, dead_again(9, since=SECOND)).progress[0].state == "done"


def test_a_person_is_told_once_for_each_death_when_the_wait_is_long() -> None:
    memory = dead_again(13, since=SECOND)
    (told,) = [fact for fact in plan([goal(ROLLING)], Inventory(NOW), memory).facts if isinstance(fact, Held)]
    assert "13 servers died" in told.reason
    again = replace(memory, paused_since={"web": NOW})
    quiet = plan([goal(ROLLING)], Inventory(NOW), again)
    assert quiet.facts == ()
    assert quiet.progress[0].state == "paused"
    assert not any(
        isinstance(f, Held) for f in plan([goal(ROLLING)], Inventory(NOW), dead_again(4, since=SECOND)).facts
    )


def test_a_generation_that_never_served_is_stopped_and_not_braked() -> None:
    memory = replace(dead_again(9, since=SECOND), settled_at={})
    assert any(isinstance(action, Create) for action in plan([goal(ROLLING)], Inventory(NOW), memory).actions)


def test_a_death_that_does_not_count_is_no_part_of_it() -> None:
    memory = remember(Memory(), [Died("web", "a", "", counts=False)], NOW)
    assert memory.streaks == {}
    memory = remember(memory, [Died("web", "b", "")], NOW)
    assert memory.streaks == {"web": Streak(1, NOW)}
    assert begun(memory, {"web"}).streaks == {}


@pytest.mark.parametrize("ends_it", ["rollout.started", "group.resumed"])
def test_the_journal_remembers_the_streak_until_a_person_says_go_on(tmp_path: Path, ends_it: str) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.record(NOW, [Entry("rollout.started", "web")])
    for number in range(4):
        at = NOW + number * timedelta(minutes=15)
        journal.record(
            at, [Entry("server.died", "web", f"web-{number}"), Entry("server.died", "web", "x", data={"counts": False})]
        )
    last = NOW + timedelta(minutes=45)
    assert recall(journal, ["web"], [], last).streaks == {"web": Streak(4, last)}
    assert recall(journal, ["web"], [], last + CALM).streaks == {}
    journal.record(last, [Entry(ends_it, "web")])
    assert recall(journal, ["web"], [], last).streaks == {}
