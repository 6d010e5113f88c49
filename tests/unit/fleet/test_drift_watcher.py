"""Looking for drift: what is written to the journal, once; and whose servers are looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.recall import recall
from bluestone.fleet.controller.strays import Register
from bluestone.fleet.controller.watcher import MOST_RECORDED, PERIOD, Watcher
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.drift import Examination, FailedUnit, Login, Unseen
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import DriftPolicy, Group
from bluestone.model.ids import Digest
from bluestone.model.inventory import Inventory
from bluestone.model.problem import Problem
from bluestone.model.server import Server, ServerSpec
from bluestone.simulation.provider import SimulatedProvider

START = datetime(2026, 11, 30, 9, tzinfo=UTC)
GENERATION = Generation("web", 1, Digest("sha256:" + "1f3a9c0d" * 8), ServerConfig("sim", (80,)))
WEB = Group("web", provider="sim", count=3)


class World:
    """A journal, a provider and a clock."""

    def __init__(self, directory: Path) -> None:
        self.now = START
        self.journal = SqliteJournal(directory / "journal.db")
        self.provider = SimulatedProvider("p", lambda: self.now)
        self.told: list[Entry] = []
        self.watcher = Watcher({"sim": self.provider}, self.journal, lambda: self.now, self._notify)
        self.journal.record(self.now, [Entry("rollout.started", "web")])

    def _notify(self, at: datetime, entry: Entry) -> None:
        self.told.append(entry)

    def start(self, number: int, *, journaled: bool = True) -> str:
        self.now += timedelta(seconds=1)
        spec = ServerSpec("p", number, number, GENERATION)
        if journaled:
            self.journal.record(self.now, [Entry("server.create", "web", spec.name)])
        self.provider.create(spec)
        return spec.name

    def kinds(self, server: str) -> list[tuple[str, str]]:
        events = self.journal.select(("server.tainted", "server.drifted"), server=server)
        return [(event.kind, event.data["subject"]) for event in reversed(events)]

    def fail(self, server: str, *units: str) -> None:
        failed = tuple(FailedUnit(unit, "exit-code") for unit in units)
        self.provider.alter(Examination(server, self.now, units=failed))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_login_taints_its_server_and_no_other_and_is_told_once(world: World) -> None:
    first, second = world.start(1), world.start(2)
    assert not world.watcher.look([WEB]).drifted
    world.provider.log_in(first)
    report = world.watcher.look([WEB])
    assert [each.server for each in report.servers if each.tainted] == [first]
    assert world.kinds(first) == [("server.tainted", "login")]
    assert [entry.data["cause"] for entry in world.told] == ["login"]
    world.now += timedelta(seconds=10)
    assert world.watcher.look([WEB]).servers[0].tainted
    assert world.kinds(first) == [("server.tainted", "login")]
    memory = recall(world.journal, ["web"], [first, second], world.now)
    assert {name: taint.cause for name, taint in memory.taints.items()} == {first: "login"}


def test_another_login_is_written_anew(world: World) -> None:
    name = world.start(1)
    world.provider.log_in(name)
    report = Group("web", provider="sim", on_drift=DriftPolicy("report"))
    world.watcher.look([report])
    world.now += timedelta(minutes=1)
    world.watcher.look([report])
    world.provider.log_in(name)
    world.watcher.look([report])
    assert world.kinds(name) == [("server.drifted", "login")] * 2


def test_what_was_only_reported_taints_once_the_declaration_says_so(world: World) -> None:
    name = world.start(1)
    world.fail(name, "app.service")
    world.watcher.look([replace(WEB, on_drift=DriftPolicy("report"))])
    world.watcher.look([WEB])
    assert world.kinds(name) == [("server.drifted", "app.service"), ("server.tainted", "app.service")]


def test_a_unit_that_fails_on_one_new_server_after_the_other_is_only_told_in_the_end(world: World) -> None:
    group = replace(WEB, count=1)
    tainted = []
    for number in range(1, 7):
        name = world.start(number)
        world.fail(name, "app.service")
        world.watcher.look([group])
        tainted.append(world.kinds(name) == [("server.tainted", "app.service")])
        world.provider.destroy(name, timedelta(0))
    assert tainted == [True, True, True, False, False, False]
    world.now += timedelta(days=2)
    name = world.start(9)
    world.fail(name, "app.service")
    assert world.watcher.look([group]).servers[0].tainted, "another day it is tried again"


def test_a_unit_that_failed_on_all_servers_is_only_told(world: World) -> None:
    first, second = world.start(1), world.start(2)
    world.fail(first, "app.service", "other.service")
    world.fail(second, "app.service")
    world.watcher.look([WEB])
    assert world.kinds(first) == [("server.drifted", "app.service"), ("server.tainted", "other.service")]
    assert world.kinds(second) == [("server.drifted", "app.service")]


def test_whoever_rules_a_server_cannot_fill_the_journal_nor_keep_it_from_being_tainted(world: World) -> None:
    name = world.start(1)
    report = replace(WEB, on_drift=DriftPolicy("report"))
    for number in range(3 * MOST_RECORDED):
        world.fail(name, f"x{number}.service")
        world.watcher.look([report])
    assert len(world.kinds(name)) == MOST_RECORDED
    world.watcher.look([WEB])
    world.watcher.look([WEB])
    assert len(world.kinds(name)) == MOST_RECORDED + 1
    assert world.kinds(name)[-1][0] == "server.tainted"


def test_what_was_not_examined_is_said(world: World) -> None:
    name = world.start(1)
    gap = Unseen("units", "its systemd did not answer")
    world.provider.alter(Examination(name, world.now, unseen=(gap,)))
    report = world.watcher.look([WEB])
    assert (report.drifted, report.servers[0].unseen) == (False, (gap,))


def test_a_provider_that_cannot_be_asked_is_a_gap(world: World) -> None:
    world.start(1)
    world.provider.fault("list", "not-done")
    report = world.watcher.look([WEB])
    assert report.servers == ()
    assert "simulated fault" in report.gaps[0]


def test_groups_that_were_not_named_are_not_looked_at(world: World) -> None:
    name = world.start(1)
    world.provider.log_in(name)
    assert world.watcher.look([Group("db", provider="sim")]).servers == ()
    assert world.kinds(name) == []


def test_it_looks_again_when_it_is_time(world: World) -> None:
    assert world.watcher.look_if_due([WEB]) is not None
    assert world.watcher.look_if_due([WEB]) is None
    world.now += PERIOD
    assert world.watcher.look_if_due([WEB]) is not None


def test_a_server_younger_than_the_journal_that_it_does_not_know_is_a_stray(world: World) -> None:
    own, stray = world.start(1), world.start(2, journaled=False)
    servers = tuple(world.provider.list_servers())
    parted = Register(world.journal).part(Inventory(world.now, servers))
    assert [server.name for server in parted.servers] == [own]
    assert [server.name for server in parted.strays] == [stray]
    world.provider.log_in(stray)
    assert not world.watcher.look([WEB]).drifted, "it is nobody's business of ours"


def test_a_server_older_than_the_journal_is_ours_by_its_marks(tmp_path: Path) -> None:
    now = START
    provider = SimulatedProvider("p", lambda: now)
    provider.create(ServerSpec("p", 1, 1, GENERATION))
    journal = SqliteJournal(tmp_path / "new.db")
    register = Register(journal)
    servers: tuple[Server, ...] = tuple(provider.list_servers())
    assert register.part(Inventory(now, servers)).strays == (), "a journal that knows of no rollout knows nothing"
    journal.record(START + timedelta(hours=1), [Entry("rollout.started", "web")])
    assert Register(journal).part(Inventory(now, servers)).strays == ()


def test_a_dead_server_is_not_examined(world: World) -> None:
    name = world.start(1)
    world.provider.alter(Examination(name, world.now, logins=(Login(world.now, "login"),)))
    world.provider.die(name, "killed")
    assert world.watcher.look([WEB]).servers == ()


def test_nothing_is_looked_at_when_the_provider_fails_in_the_middle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start(1)

    def fail(_: object) -> None:
        raise Problem("podman does not answer")

    monkeypatch.setattr(world.provider, "examine", fail)
    assert world.watcher.look([WEB]).gaps == ("provider sim: podman does not answer",)
