"""What the hours want and what the journal gets of it, over jumps of the clock: a suspend, a daemon that was down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest

from bluestone.app import wiring
from bluestone.app.hours.hours import Timekeeper, in_doubt
from bluestone.fleet.controller.controller import Tick
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.hours.days import Doubt
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group, Port
from bluestone.model.hours import Hours, Period
from bluestone.model.ids import Digest
from bluestone.model.inventory import Backend, Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal, Plan, Progress
from bluestone.model.server import Endpoint, Server

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
GROUP = Group(
    "web",
    count=1,
    ports=(Port(8080, 80),),
    hours=Hours((Period("Mo-Fr 08:00-18:00", 1),), lead=timedelta(minutes=2)),
)
GOAL = Goal(GROUP, Generation("web", 1, Digest("sha256:a"), ServerConfig("podman", (80,))))
SERVER = Server(
    "web-1-a-1",
    "web",
    1,
    1,
    1,
    Digest("sha256:a"),
    Digest("sha256:b"),
    "running",
    MONDAY,
    Endpoint("10.0.0.1", {80: 80}),
)


class Day:
    """A timekeeper whose clock is set by hand; `up` is whether a server serves."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.at, self.up = journal, MONDAY, False
        self.timekeeper = self.another()

    def another(self) -> Timekeeper:
        """As a daemon that is started anew has it."""
        return Timekeeper(self.journal, self._record, lambda _: {})

    def _record(self, entries: Iterable[Entry]) -> None:
        self.journal.record(self.at, tuple(entries))

    def look(self, hour: int, minute: int = 0, second: int = 0, day: int = 0) -> int:
        """A look at that time of Monday; how many servers are wanted."""
        self.at = MONDAY + timedelta(days=day, hours=hour, minutes=minute, seconds=second)
        backends = (Backend(SERVER.name, "web", "attached", "up", 0),)
        inventory = Inventory(self.at, (SERVER,), backends) if self.up else Inventory(self.at)
        goals = self.timekeeper.keep([GOAL], inventory, self.at)
        progress = (Progress("web", "working", 0, 0, ("web-1-a-1: not healthy yet",)),)
        self.timekeeper.note(Tick(tuple(goals), inventory, Memory(), Plan(progress=progress), 0.0))
        return goals[0].group.count

    def said(self, kind: str) -> list[str]:
        return [event.message for event in self.journal.events() if event.kind == f"hours.{kind}"]


@pytest.fixture
def day() -> Iterator[Day]:
    with closing(wiring.memory_journal()) as journal:
        yield Day(journal)


def test_a_day_that_goes_well(day: Day) -> None:
    assert [day.look(7, 57, 59), day.look(7, 58)] == [0, 1]
    day.up = True
    assert day.look(7, 58, 50) == 1
    assert day.said("met") == ["1 servers serve, 70 s ahead of Mon 30 Nov 08:00 UTC"]
    assert [day.look(8), day.look(17, 59, 59), day.look(18)] == [1, 1, 0]
    assert not day.said("missed")
    assert len(day.said("met")) == 1
    assert [message[:10] for message in day.said("changed")] == ["0 servers:", "1 servers:", "0 servers:"]


def test_the_declared_count_stays_with_the_goal(day: Day) -> None:
    goal = day.timekeeper.goals([GOAL], Inventory(MONDAY), MONDAY)[0]
    assert (goal.group.count, goal.declared) == (0, 1)
    assert goal.declaration() == GOAL.declaration()


def test_a_machine_that_slept_over_the_opening(day: Day) -> None:
    day.look(3)
    assert day.look(9, 30) == 1
    assert "nobody looked from 30 Nov 03:00:00 on" in day.said("missed")[0]
    day.up = True
    day.look(9, 31)
    assert "5460 s after Mon 30 Nov 08:00 UTC" in day.said("met")[0]
    assert len(day.said("missed")) == 1


def test_a_daemon_that_was_down_over_the_opening(day: Day) -> None:
    day.look(3)
    day.timekeeper = day.another()
    day.look(9, 30)
    assert "nobody looked" in day.said("missed")[0]


def test_one_that_sleeps_a_whole_day_misses_nothing_at_night(day: Day) -> None:
    day.look(3)
    assert day.look(3, day=1) == 0
    assert not day.said("missed")


def test_a_slow_boot_is_the_reason_of_a_miss(day: Day) -> None:
    day.look(7)
    day.look(7, 58)
    day.look(8, 0, 1)
    assert "they were begun 120 s ahead, and took longer" in day.said("missed")[0]
    assert "not healthy yet" in day.said("missed")[0]


def test_who_was_ready_and_dies_right_before_the_opening_has_missed_it(day: Day) -> None:
    day.look(7)
    day.look(7, 58)
    day.up = True
    day.look(7, 59)
    day.up = False
    day.journal.record(day.at, [Entry("server.died", "web", SERVER.name, "killed")])
    day.look(8, 0, 5)
    assert "server died, last: killed" in day.said("missed")[0]
    day.up = True
    day.look(8, 1)
    day.up = False
    day.look(12)
    assert len(day.said("missed")) == 1, "at noon it is no opening that is missed"


def test_a_clock_that_is_set_back_takes_no_server_away(day: Day) -> None:
    day.look(7)
    day.look(7, 58)
    day.up = True
    assert day.look(8, 30) == 1
    assert day.look(2) == 1, "the journal is of 7:58"
    assert day.look(8, 31) == 1
    assert day.look(18) == 0
    assert not day.said("missed")


def test_a_clock_that_is_set_forward_acts_by_the_new_time(day: Day) -> None:
    day.look(7)
    day.look(7, 58)
    day.up = True
    day.look(8, 1)
    assert day.look(19) == 0


def test_exceptions_reach_the_goal(day: Day) -> None:
    assert day.look(3) == 0
    data = {"way": "up", "until": (MONDAY + timedelta(hours=5)).isoformat(), "by": "eva", "because": "release"}
    day.journal.record(day.at, [Entry("hours.kept", "web", data=data)])
    assert [day.look(4), day.look(5)] == [1, 0]
    assert "kept up by eva until Mon 30 Nov 05:00 UTC: release" in day.said("changed")[1]


def test_a_year_that_is_not_known_keeps_servers_up_once_it_comes() -> None:
    doubts = [Doubt("the holidays of 2027 are not known", date(2027, 1, 1)), Doubt("c.ics cannot be read")]
    assert in_doubt(doubts, MONDAY) == ("c.ics cannot be read",)
    assert len(in_doubt(doubts, datetime(2026, 12, 31, tzinfo=UTC))) == 2
