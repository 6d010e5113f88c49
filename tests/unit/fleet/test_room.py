"""Servers in another size or zone where there is no room: planned, asked for, remembered, priced."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.app.hours.cost import stays
from bluestone.fleet.controller.act import Tools
from bluestone.fleet.controller.controller import Controller
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.fleet.providers.room import available, is_full, require_room
from bluestone.fleet.room import FULL_FOR, choices
from bluestone.model.action import Create
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Choice, Group, Resources, RolloutPolicy
from bluestone.model.plan import Goal, Plan
from bluestone.model.problem import NoRoom
from bluestone.model.server import ServerSpec
from bluestone.simulation.balancer import MemoryBalancer
from bluestone.simulation.provider import SimulatedProvider

LARGE, SMALL = Resources(memory=4 << 30), Resources(memory=1 << 30)
ROLLING = RolloutPolicy("rolling")


class Zoned(SimulatedProvider):
    """A provider that has no room in some zones; it keeps what it was asked for."""

    full: frozenset[str] = frozenset()

    def create(self, spec: ServerSpec) -> None:
        assert spec.choice is not None
        if spec.choice.zone in self.full:
            raise NoRoom(f"zone {spec.choice.zone} is full")
        super().create(spec)
        self.made[spec.name] = spec.choice

    made: dict[str, Choice]


class World:
    """One project in memory, on a clock that moves at each look at it."""

    def __init__(self, journal: SqliteJournal, **group: object) -> None:
        self.now = datetime(2026, 11, 23, 8, tzinfo=UTC)
        self.journal = journal
        self.provider = Zoned("p", self.clock)
        self.provider.made = {}
        self.group = Group("web", provider="sim", resources=LARGE, rollout=ROLLING, **group)  # type: ignore[arg-type]
        journal.record(self.clock(), [Entry("rollout.started", "web")])

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=50)
        return self.now

    def lead(self, image: str = "1") -> Plan:
        config = ServerConfig.of(self.group, "")
        generation = self.journal.generation("web", "sha256:" + image * 64, config, keep=True)
        tools = Tools({"sim": self.provider}, MemoryBalancer(), _outfit, lambda _: None)
        return Controller([Goal(self.group, generation)], tools, self.journal, self.clock).run()

    def made(self) -> list[str]:
        """What the servers that exist are, by slot."""
        servers = sorted(self.provider.list_servers(), key=lambda server: server.slot)
        return [str(self.provider.made[server.name]) for server in servers]

    def told(self, kind: str) -> list[str]:
        return [event.message for event in self.journal.select((kind,))]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(tmp_path / "journal.sqlite")) as found:
        yield found


def _outfit(create: Create) -> ServerSpec:
    return ServerSpec("p", create.slot, create.incarnation, create.generation, choice=create.choice)


def test_another_zone_comes_before_another_size_and_slots_take_turns() -> None:
    group = Group("web", fallback=(SMALL,), zones=("a", "b"))
    goal = Goal(group, Generation("web", 1, "sha256:1", ServerConfig("sim", resources=LARGE)))  # type: ignore[arg-type]
    assert [str(each) for each in choices(goal, 1)] == [
        "4096 MiB in zone a",
        "4096 MiB in zone b",
        "1024 MiB in zone a",
        "1024 MiB in zone b",
    ]
    assert [each.zone for each in choices(goal, 2)][:2] == ["b", "a"]


def test_without_room_the_next_size_is_taken_at_once_and_it_is_said(journal: SqliteJournal) -> None:
    world = World(journal, count=2, fallback=(SMALL,))
    world.provider._cloud.memory = 2 << 30
    began = world.now
    assert world.lead().done
    assert world.made() == ["1024 MiB", "1024 MiB"]
    assert world.now - began < timedelta(seconds=20), "nothing waits while another size may be had"
    assert "it gets 1024 MiB, as there was no room for 4096 MiB" in world.told("server.created")[0]
    assert world.told("rollout.paused") == []


def test_the_first_size_is_asked_for_again_at_the_next_replacement(journal: SqliteJournal) -> None:
    world = World(journal, count=1, fallback=(SMALL,))
    world.provider._cloud.memory = 2 << 30
    world.lead()
    world.provider._cloud.memory = 8 << 30
    world.now += FULL_FOR
    assert world.lead().done
    assert world.made() == ["1024 MiB"], "what runs is left as it is"
    assert world.lead("2").done
    assert world.made() == ["4096 MiB"]


def test_a_lost_zone_is_passed_over(journal: SqliteJournal) -> None:
    world = World(journal, count=4, zones=("a", "b"))
    world.provider.full = frozenset("a")
    assert world.lead().done
    assert world.made() == ["4096 MiB in zone b"] * 4


def test_where_nothing_is_to_be_had_it_pauses_says_so_and_goes_on_later(journal: SqliteJournal) -> None:
    world = World(journal, count=1, fallback=(SMALL,), zones=("a", "b"))
    world.provider.full = frozenset("ab")
    (progress,) = world.lead().progress
    assert (progress.state, world.made()) == ("paused", [])
    assert "no size and zone" in progress.waiting[0]
    assert len(world.told("rollout.paused")) == 1
    assert len(world.told("action.failed")) == 4, "each was asked for once"
    world.now += FULL_FOR
    world.lead()
    assert len(world.told("action.failed")) > 4, "it is tried again"
    assert len(world.told("rollout.paused")) == 1, "and not said again each time"
    world.provider.full = frozenset("a")
    world.now += FULL_FOR
    assert world.lead().done
    assert world.made() == ["4096 MiB in zone b"]


def test_the_ledger_counts_what_was_really_had(journal: SqliteJournal) -> None:
    world = World(journal, count=1, fallback=(SMALL,))
    world.provider._cloud.memory = 2 << 30
    world.lead()
    failed, had = stays(journal) if len(stays(journal)) == 2 else (None, stays(journal)[0])
    assert failed is None, "what was never made cost nothing"
    assert had.memory == SMALL.memory


def test_a_machine_has_room_for_what_is_available(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  8388608 kB\nMemAvailable:  2097152 kB\n")
    assert available(meminfo) == 2 << 30
    generation = Generation("web", 1, "sha256:1", ServerConfig("podman", resources=LARGE))  # type: ignore[arg-type]
    require_room(ServerSpec("p", 1, 1, generation, choice=Choice(SMALL)), meminfo)
    with pytest.raises(NoRoom, match="4096 MiB of memory, and 2048 MiB are available"):
        require_room(ServerSpec("p", 1, 1, generation, choice=Choice(LARGE)), meminfo)
    with pytest.raises(NoRoom, match="9999 cpus"):
        require_room(ServerSpec("p", 1, 1, generation, choice=Choice(Resources(cpus=9999.0))), meminfo)
    # A limit alone may well be more than is free.
    require_room(ServerSpec("p", 1, 1, generation), meminfo)


def test_what_the_kernel_refuses_is_known_by_its_words() -> None:
    assert is_full("Error: write /var/lib/x: no space left on device")
    assert is_full("fork/exec /usr/bin/runc: cannot allocate memory")
    assert not is_full("Error: name is in use")
