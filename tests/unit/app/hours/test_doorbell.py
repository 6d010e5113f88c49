from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from bluestone.app import wiring
from bluestone.app.fleet.goals import no_generation
from bluestone.app.hours.doorbell import Doorbell
from bluestone.fleet.balancer import Service
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.model.group import Group, Health, Port
from bluestone.model.hours import Hours, Period, Wanted
from bluestone.model.plan import Goal
from bluestone.simulation.balancer import MemoryBalancer

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
PORT = (Port(8080, 80),)
GROUP = Group("web", ports=PORT, hours=Hours((Period("Mo 08:00-09:00", 1),), on_request="page"))
ASLEEP = [Wanted("web", 0, "it is closed", lessened=True)]
AWAKE = [Wanted("web", 1, "a request woke it")]


class Night:
    def __init__(self, journal: Journal) -> None:
        self.journal, self.at = journal, NOW
        self.balancer = MemoryBalancer()
        self.balancer.ensure([Service("web", PORT, Health())])
        self.doorbell = Doorbell(journal, self.balancer, self._record)

    def _record(self, entries: Iterable[Entry]) -> None:
        self.journal.record(self.at, tuple(entries))

    def look(self, wanted: list[Wanted], after: timedelta = timedelta(0)) -> list[str]:
        self.at += after
        self.doorbell.heed([Goal(GROUP, no_generation(GROUP))], wanted, self.at)
        return [event.kind for event in self.journal.events()]

    def come(self, number: int) -> None:
        self.balancer.arrived["web"] = number


@pytest.fixture
def night() -> Iterator[Night]:
    with closing(wiring.memory_journal()) as journal:
        yield Night(journal)


def test_what_came_before_the_first_look_wakes_nobody(night: Night) -> None:
    night.come(7)
    assert night.look(ASLEEP) == []
    assert not night.doorbell.rings()
    assert night.look(ASLEEP) == []
    night.come(8)
    assert night.doorbell.rings()
    assert night.look(ASLEEP) == ["hours.woken"]


def test_a_balancer_that_counts_anew_is_understood(night: Night) -> None:
    night.come(7)
    night.look(ASLEEP)
    night.come(0)
    assert night.look(ASLEEP) == []
    night.come(1)
    assert night.look(ASLEEP) == ["hours.woken"]


def test_who_is_up_is_not_woken(night: Night) -> None:
    night.look(AWAKE)
    night.come(1)
    assert not night.doorbell.rings()
    assert night.look(AWAKE) == []


def test_it_sleeps_once_no_request_came_for_long(night: Night) -> None:
    night.look(ASLEEP)
    night.come(1)
    night.look(ASLEEP)
    night.come(2)
    night.look(AWAKE)
    assert night.doorbell.next_look == night.at + timedelta(minutes=15)
    night.come(3)
    assert night.look(AWAKE, timedelta(minutes=14)) == ["hours.woken"]
    assert night.look(AWAKE, timedelta(minutes=14)) == ["hours.woken"], "another came meanwhile"
    assert night.look(AWAKE, timedelta(minutes=1)) == ["hours.woken", "hours.slept"]
    assert night.look(ASLEEP) == ["hours.woken", "hours.slept"]


def test_a_balancer_that_does_not_answer_wakes_nobody(night: Night) -> None:
    night.look(ASLEEP)
    night.balancer.answers = False
    assert not night.doorbell.rings()
    assert night.look(ASLEEP) == []
