"""The loop, with providers and balancer in memory and every fault that they offer."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bluestone.fleet.balancer import Service
from bluestone.fleet.controller.act import Actor, Tools
from bluestone.fleet.controller.controller import Controller, Tick
from bluestone.fleet.controller.fence import leading
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.lease import Fenced
from bluestone.fleet.controller.lock import introduce
from bluestone.fleet.controller.resolve import unanswered
from bluestone.fleet.controller.watcher import Watcher
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.action import Create
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Amount, Group, Port, RolloutPolicy
from bluestone.model.inventory import Backend
from bluestone.model.plan import Goal, Plan
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import Endpoint, ServerSpec
from bluestone.simulation.balancer import MemoryBalancer
from bluestone.simulation.provider import SimulatedProvider

CONFIG = ServerConfig("sim", ports=(80,))
ROLLING = RolloutPolicy("rolling", Amount(1), Amount(0), progress=timedelta(seconds=20))


class Checked(MemoryBalancer):
    """A balancer whose checks find a server healthy at the second look, unless its name is in `sick`."""

    def __init__(self) -> None:
        super().__init__()
        self.sick: Callable[[str], bool] = lambda server: False

    def list_backends(self) -> Sequence[Backend]:
        found = super().list_backends()
        for server, seat in self.seats.items():
            seat.health = "down" if self.sick(server) else "up"
        return found

    def enrol(self, group: str, server: str, endpoint: Endpoint) -> None:
        super().enrol(group, server, endpoint)


class Bench:
    """One project in memory; its time moves a second at each look at the clock."""

    def __init__(self, journal: Path) -> None:
        self.now = datetime(2026, 11, 23, 8, tzinfo=UTC)
        self.journal_file = journal
        self.journal = SqliteJournal(journal)
        self.provider = SimulatedProvider("p", self.clock)
        self.balancer = Checked()
        self.gone: list[str] = []
        self.told: list[Entry] = []

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=200)
        return self.now

    def controller(
        self,
        image: str,
        *,
        count: int = 2,
        policy: RolloutPolicy = ROLLING,
        outfit: Callable[[Create], ServerSpec] | None = None,
        may_act: Callable[[], None] | None = None,
    ) -> Controller:
        group = Group("web", provider="sim", count=count, ports=(Port(8080, 80),), rollout=policy)
        generation = self.journal.generation("web", "sha256:" + image * 64, CONFIG, keep=True)
        tools = Tools({"sim": self.provider}, self.balancer, outfit or self.outfit, self.gone.append)
        tools = replace(tools, may_act=may_act or self.journal.fence.may_act)
        return Controller([Goal(group, generation)], tools, self.journal, self.clock, self.tell)

    def lead(self, image: str, **how: Any) -> Plan:
        self.journal.record(self.clock(), [Entry("rollout.started", "web")])
        return self.controller(image, **how).run()

    def outfit(self, create: Create) -> ServerSpec:
        return ServerSpec("p", create.slot, create.incarnation, create.generation)

    def tell(self, at: datetime, entry: Entry) -> None:
        self.told.append(entry)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.journal.events()]

    def names(self) -> set[str]:
        return {server.name for server in self.provider.list_servers()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path / "journal.db")
    yield one
    one.journal.close()


def test_who_may_not_act_calls_nobody(bench: Bench) -> None:
    """The lease could not be renewed for a while: what was planned meanwhile is refused, and done later."""
    asked: list[int] = []

    def may_act() -> None:
        asked.append(len(bench.provider.list_servers()))
        if len(asked) <= 3:
            raise Refused("its lease could not be renewed")

    assert bench.lead("a", may_act=may_act).done
    assert asked[:4] == [0, 0, 0, 0], "nothing was created before it might"
    assert bench.kinds().count("action.refused") == 3
    assert "rollout.halted" not in bench.kinds()


def test_who_was_taken_over_from_stops_and_begins_nothing_more(bench: Bench) -> None:
    bench.lead("a", count=3)
    before = bench.names()
    other = SqliteJournal(bench.journal_file)

    def overtaken(create: Create) -> ServerSpec:
        lease = other.take(introduce("two"), timedelta(minutes=1), take_over=True)
        other.fence.open(lease.epoch, 0, timedelta(minutes=1))
        return bench.outfit(create)

    with leading(bench.journal, introduce("one")), pytest.raises(Fenced, match="another controller leads now"):
        bench.lead("b", count=3, outfit=overtaken)
    assert len(bench.names() - before) == 1, "the call that had begun took effect"
    assert before < bench.names()
    assert bench.balancer.receivers("web") == before
    assert other.events()[-1].kind == "lease.taken", "nothing was written after it"
    other.close()


@pytest.mark.parametrize("strategy", ["blue-green", "rolling", "destroy-first"])
def test_it_arrives_and_records_each_step(bench: Bench, strategy: str) -> None:
    unavailable = Amount(1 if strategy == "destroy-first" else 0)
    policy = RolloutPolicy(strategy, Amount(1), unavailable)  # type: ignore[arg-type]
    assert bench.lead("a", policy=policy).done
    first = bench.names()
    assert bench.lead("b", policy=policy).done
    assert not first & bench.names()
    assert bench.balancer.receivers("web") == bench.names()
    assert set(bench.gone) == first
    kinds = bench.kinds()
    for verb in ("created", "enrolled", "attached"):
        assert kinds.count(f"server.{verb}") == 4
    for verb in ("detached", "dismissed", "destroyed"):
        assert kinds.count(f"server.{verb}") == 2
    assert [entry.kind for entry in bench.told] == [kind for kind in kinds if kind != "rollout.started"]


def test_every_intent_stands_in_the_journal_before_its_outcome(bench: Bench) -> None:
    bench.lead("a")
    bench.lead("b")
    events = bench.journal.events()
    for past in (event for event in events if event.kind.endswith("ed") and event.server):
        verb = past.data["verb"]
        before = [e for e in events if e.kind == f"server.{verb}" and e.server == past.server]
        assert before, past
        assert before[0].sequence < past.sequence


@pytest.mark.parametrize("verb", ["create", "destroy"])
@pytest.mark.parametrize("kind", ["not-done", "lost-answer", "half-done"])
def test_a_failed_call_is_observed_and_made_good(bench: Bench, verb: str, kind: str) -> None:
    bench.lead("a")
    bench.provider.fault(verb, kind)  # type: ignore[arg-type]
    if kind == "half-done" and verb == "destroy":
        _finish_stopping(bench)
    assert bench.lead("b").done
    assert "action.failed" in bench.kinds()
    assert len(bench.names()) == 2


def _finish_stopping(bench: Bench) -> None:
    """A server that was asked to stop ends by itself a little later."""
    look = bench.provider.list_servers
    seen = 0

    def list_servers() -> Sequence[object]:
        nonlocal seen
        for server in look():
            if server.phase == "stopping":
                seen += 1
                if seen > 3:
                    bench.provider.die(server.name, "exited")
        return look()

    bench.provider.list_servers = list_servers  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("kind", ["not-done", "half-done"])
def test_calls_that_always_fail_pause_and_the_old_serve(bench: Bench, kind: str) -> None:
    bench.lead("a")
    before = bench.names()
    for _ in range(12):
        bench.provider.fault("create", kind)  # type: ignore[arg-type]
    last = bench.lead("b")
    assert [group.state for group in last.progress] == ["paused"], "a fault of the provider's condemns no image"
    assert "simulated fault" in last.progress[0].waiting[0]
    assert bench.balancer.receivers("web") == before == bench.names()
    assert bench.kinds().count("action.failed") == 3, "nothing is tried for ever"


def test_an_image_that_never_gets_healthy_halts_and_what_failed_is_removed(bench: Bench) -> None:
    bench.lead("a")
    before = bench.names()
    bench.balancer.sick = lambda server: server not in before
    last = bench.lead("b")
    assert last.halted
    assert bench.balancer.receivers("web") == before == bench.names()


def test_a_provider_that_cannot_be_seen_for_a_moment_only_delays(bench: Bench) -> None:
    bench.lead("a")
    for _ in range(5):
        bench.provider.fault("list", "not-done")
    assert bench.lead("b").done


def test_a_provider_that_cannot_be_seen_for_long_is_an_error_and_nothing_changes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluestone.fleet.controller.controller.BLIND_LIMIT", timedelta(seconds=10))
    bench.lead("a")
    before = bench.names()
    for _ in range(400):
        bench.provider.fault("list", "not-done")
    with pytest.raises(Problem, match="cannot see") as blind:
        bench.lead("b")
    assert "destroys nothing" in blind.value.left
    assert bench.balancer.receivers("web") == before


def test_a_balancer_that_dies_is_started_again(bench: Bench) -> None:
    bench.lead("a")
    bench.balancer.crash()
    assert bench.lead("b").done
    assert bench.balancer.receivers("web") == bench.names()


def test_whoever_comes_after_a_kill_finishes_the_work(bench: Bench) -> None:
    """Each controller makes a few ticks and is then forgotten, as if killed; names are never used twice."""
    bench.lead("a", count=3)
    bench.journal.record(bench.clock(), [Entry("rollout.started", "web")])
    for ticks in (1, 2, 3, 5, 8):
        killed = bench.controller("b", count=3)
        for _ in range(ticks):
            killed.tick()
    assert bench.controller("b", count=3).run().done
    created = [event.server for event in bench.journal.events() if event.kind == "server.create"]
    assert len(created) == len(set(created))
    assert len(bench.names()) == 3
    assert {server.image[-1] for server in bench.provider.list_servers()} == {"b"}


def test_a_create_whose_end_nobody_knows_is_waited_for(bench: Bench) -> None:
    """Whoever recorded the intent was killed; the call takes effect later. No second server is made."""
    first = bench.controller("a", count=1)
    generation = first.goals[0].generation
    data = {"slot": 1, "incarnation": 1, "generation": 1, "image": generation.image}
    create = Create(1, 1, generation, "")
    bench.journal.record(bench.clock(), [Entry("rollout.started", "web")])
    entry = Entry("server.create", "web", create.server, data=data)
    bench.journal.record(bench.clock(), [entry], incarnations=1)
    later = bench.controller("a", count=1)
    assert later.tick().actions == ()
    bench.provider.create(bench.outfit(create))
    assert later.run().done
    assert bench.names() == {create.server}


def test_when_it_is_interrupted_every_intent_still_gets_its_outcome(bench: Bench) -> None:
    bench.lead("a", count=6)

    def interrupt(now: Tick) -> None:
        if now.plan.actions:
            raise KeyboardInterrupt

    bench.journal.record(bench.clock(), [Entry("rollout.started", "web")])
    with pytest.raises(KeyboardInterrupt):
        bench.controller("b", count=6, policy=RolloutPolicy("blue-green")).run(interrupt)
    assert unanswered(bench.journal) == []
    assert "action.failed" not in bench.kinds(), "what was not begun has not failed"
    assert bench.controller("b", count=6, policy=RolloutPolicy("blue-green")).run().done


def test_an_upgrade_of_bluestone_in_the_middle_of_a_rollout_continues_it(bench: Bench, tmp_path: Path) -> None:
    """A controller of the first journal's time is killed between two ticks; today's finishes its work."""
    bench.lead("a", count=3)
    before = bench.names()
    bench.journal.record(bench.clock(), [Entry("rollout.started", "web")])
    killed = bench.controller("b", count=3)
    for _ in range(6):
        killed.tick()
    bench.journal.close()
    _as_of_schema_1(tmp_path / "journal.db", tmp_path / "first.db")
    bench.journal = SqliteJournal(tmp_path / "first.db")
    assert bench.controller("b", count=3).run().done
    created = [event.server for event in bench.journal.events() if event.kind == "server.create"]
    assert len(created) == len(set(created)), "no name was used twice"
    assert not bench.names() & before
    assert len(bench.names()) == 3
    assert bench.journal.verify() is None


def _as_of_schema_1(today: Path, first: Path) -> None:
    db = sqlite3.connect(first)
    schema = (Path(__file__).parents[2] / "data" / "journal-1.sql").read_text()
    db.executescript(f"{schema} PRAGMA user_version = 1; ATTACH '{today}' AS today; DELETE FROM counter;")
    columns = "sequence, at, kind, grp, server, message, data"
    db.execute(f"INSERT INTO event ({columns}) SELECT {columns} FROM today.event")
    for table in ("generation", "declared", "counter"):
        db.execute(f"INSERT INTO {table} SELECT * FROM today.{table}")
    db.commit()
    db.close()


def test_without_its_journal_no_name_of_a_server_that_lives_is_used_again(bench: Bench, tmp_path: Path) -> None:
    for image in "ab":
        bench.lead(image)
    before = {server.name: server.incarnation for server in bench.provider.list_servers()}
    bench.journal.close()
    bench.journal = SqliteJournal(tmp_path / "another.db")
    assert bench.lead("c").done
    created = [event for event in bench.journal.events() if event.kind == "server.create"]
    assert min(event.data["incarnation"] for event in created) > max(before.values())


def test_waiting_for_the_world_is_not_done_in_a_busy_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no action under way there is nothing to wake up for: the time has to be slept."""
    slept: list[float] = []
    actor = Actor(Tools({"sim": bench.provider}, bench.balancer, bench.outfit, bench.gone.append), bench.clock)
    monkeypatch.setattr("bluestone.fleet.controller.act.time.sleep", slept.append)
    actor.wait(0.5)
    assert slept == [0.5]


def test_services_are_those_of_groups_with_ports(bench: Bench) -> None:
    found = bench.controller("a").services
    assert found == (Service("web", (Port(8080, 80),), found[0].health),)


@pytest.mark.parametrize("strategy", ["blue-green", "rolling", "destroy-first"])
def test_a_server_that_somebody_was_on_is_replaced_and_no_other(bench: Bench, strategy: str) -> None:
    unavailable = Amount(1 if strategy == "destroy-first" else 0)
    policy = RolloutPolicy(strategy, Amount(1), unavailable)  # type: ignore[arg-type]
    bench.lead("a", count=3, policy=policy)
    entered, *others = sorted(bench.names())
    bench.provider.log_in(entered)
    group = Group("web", provider="sim", count=3)
    Watcher({"sim": bench.provider}, bench.journal, bench.clock, bench.tell).look([group])
    fewest = 3

    def count(_: Tick) -> None:
        nonlocal fewest
        fewest = min(fewest, len(bench.balancer.receivers("web")))

    bench.journal.record(bench.clock(), [Entry("rollout.started", "web")])
    assert bench.controller("a", count=3, policy=policy).run(count).done
    assert entered not in bench.names()
    assert set(others) < bench.names()
    assert fewest >= (2 if strategy == "destroy-first" else 3)


def test_what_bears_our_marks_and_is_not_ours_is_neither_counted_nor_destroyed(bench: Bench) -> None:
    bench.lead("a")
    bench.now += timedelta(minutes=1)
    generation = bench.journal.generation("web", "sha256:" + "a" * 64, CONFIG, keep=False)
    impostor = ServerSpec("p", 9, 99, generation)
    bench.provider.create(impostor)
    before = bench.names()
    assert bench.lead("a").done
    assert bench.names() == before
    assert impostor.name not in bench.balancer.receivers("web")
    bench.lead("b")
    assert impostor.name in bench.names()
    (stray,) = bench.controller("b").look().strays
    assert stray.name == impostor.name
