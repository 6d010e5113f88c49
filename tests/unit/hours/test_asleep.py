"""Which volumes are put away while their group sleeps, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from bluestone.app.hours.snapshots import TRIED_AGAIN, SnapshotKeeper
from bluestone.fleet.controller.journal import Entry
from bluestone.hours.asleep import sleepers
from bluestone.model.action import Create
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group
from bluestone.model.inventory import Inventory
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import Server
from bluestone.model.volume import VolumeSpec

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
VOLUMES = (VolumeSpec("data", "/srv/data"), VolumeSpec("cache", "/srv/cache"))
GENERATION = Generation("db", 1, "sha256:" + "1" * 64, ServerConfig("podman", volumes=VOLUMES))  # type: ignore[arg-type]


def goal(count: int, declared: int | None = 3) -> Goal:
    group = Group("db", count=count, volumes=VOLUMES, snapshots=("data",))
    return Goal(group, GENERATION, declared=declared)


def server(slot: int, **changes: Any) -> Server:
    running = replace(Create(slot, slot, GENERATION, "").coming(NOW), phase="running")
    return replace(running, **changes)


def named(goals: Iterable[Goal], *servers: Server, gaps: tuple[str, ...] = ()) -> list[str]:
    return [each.volume for each in sleepers(list(goals), Inventory(NOW, servers, gaps=gaps))]


def test_only_what_is_declared_so_of_slots_that_the_hours_leave_empty_is_put_away() -> None:
    assert named([goal(0)]) == ["db-1.data", "db-2.data", "db-3.data"]
    assert named([goal(1)], server(1)) == ["db-2.data", "db-3.data"]
    assert named([goal(3, None)]) == [], "it is not asleep: its servers are just not there yet"
    assert named([goal(0, None)]) == [], "a person took it down: that is no sleep"


def test_a_slot_with_any_server_is_left_alone() -> None:
    for phase in ("creating", "running", "stopping", "dead"):
        assert named([goal(0)], server(2, phase=phase)) == ["db-1.data", "db-3.data"]
    assert named([goal(0)], gaps=("provider podman: it does not answer",)) == []


class Provider:
    """Answers of a provider, in their order."""

    def __init__(self, *answers: int | Problem | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def put_away(self, name: str) -> int | None:
        self.asked.append(name)
        answer = self.answers.pop(0)
        if isinstance(answer, Problem):
            raise answer
        return answer


class Nights:
    """A keeper, and what it recorded."""

    def __init__(self, provider: Provider, may_act: Callable[[], None] = lambda: None) -> None:
        self.told: list[tuple[str, str]] = []
        self.now = NOW
        self.keeper = SnapshotKeeper({"podman": provider}, self.record, may_act)  # type: ignore[dict-item]

    def record(self, entries: Iterable[Entry]) -> None:
        self.told += [(entry.kind, entry.message) for entry in entries]

    def look(self, of: Goal, *servers: Server) -> None:
        """A look, after what the one before had begun."""
        self.keeper.wait(10)
        tick: Any = SimpleNamespace(goals=(of,), inventory=Inventory(self.now, servers))
        self.keeper.look(tick)


def test_each_volume_is_put_away_once_a_night_and_that_is_recorded() -> None:
    provider = Provider(1000, None, 3000, 2000)
    nights = Nights(provider)
    for _ in range(3):
        nights.look(goal(0))
    assert provider.asked == ["db-1.data", "db-2.data", "db-3.data"]
    assert nights.told == [
        ("volume.snapshot", "db-1.data: its snapshot takes 1000 bytes"),
        ("volume.snapshot", "db-3.data: its snapshot takes 3000 bytes"),
    ]
    nights.look(goal(1), server(1))
    assert nights.told[-1] == ("volume.restored", f"db-1.data: laid out again for {server(1).name}")
    nights.look(goal(0))
    nights.look(goal(0))
    assert provider.asked[3:] == ["db-1.data"], "the next night, what was laid out again is put away again"


def test_what_fails_is_told_and_tried_again_later() -> None:
    provider = Provider(Problem("the disk is full"), 1000)
    nights = Nights(provider)
    one = goal(0, 1)
    for _ in range(3):
        nights.look(one)
    assert nights.told == [("volume.failed", "db-1.data: the disk is full")]
    nights.now += TRIED_AGAIN + timedelta(seconds=1)
    nights.look(one)
    nights.look(one)
    assert nights.told[1:] == [("volume.snapshot", "db-1.data: its snapshot takes 1000 bytes")]


def test_a_server_that_came_meanwhile_is_no_failure() -> None:
    nights = Nights(Provider(Refused("it was woken"), 7))
    one = goal(0, 1)
    nights.look(one)
    nights.look(one, server(1))
    nights.look(one)
    nights.look(one)
    assert [kind for kind, _ in nights.told] == ["volume.snapshot"]


def test_who_does_not_lead_any_more_puts_nothing_away() -> None:
    def fenced() -> None:
        raise Refused("another controller leads")

    provider = Provider()
    nights = Nights(provider, fenced)
    nights.look(goal(0))
    nights.look(goal(0))
    assert (provider.asked, nights.told) == ([], [])
