"""Lists of servers that lag behind, or leave some out: what is missing is not replaced at once, nor forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.fleet.balancer import Service
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.observe import MAX_AGE, Lookout, observe
from bluestone.fleet.controller.recall import CREATE_WINDOW, Recollection, expected
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.fleet.marks import MARKING
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Health, Port
from bluestone.model.ids import Digest
from bluestone.model.server import Endpoint, Server, ServerSpec
from bluestone.simulation.balancer import MemoryBalancer
from bluestone.simulation.provider import SimulatedProvider

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
LAG = timedelta(seconds=5)
GENERATION = Generation("web", 1, Digest("sha256:" + "a" * 64), ServerConfig("sim", (80,)))
SERVICE = Service("web", (Port(8080, 80),), Health())


class Lagging(SimulatedProvider):
    """Leaves out the servers in `hidden`."""

    list_lag = LAG

    def __init__(self) -> None:
        super().__init__("p", lambda: NOW)
        self.hidden: set[str] = set()

    def list_servers(self) -> Sequence[Server]:
        return [server for server in super().list_servers() if server.name not in self.hidden]


def a_provider(servers: int) -> tuple[Lagging, list[str]]:
    one, specs = Lagging(), [ServerSpec("p", slot, slot, GENERATION) for slot in range(1, servers + 1)]
    for spec in specs:
        one.create(spec)
    return one, [spec.name for spec in specs]


def later(times: int) -> datetime:
    return NOW + times * (MAX_AGE + timedelta(milliseconds=1))


def test_a_server_that_was_listed_is_missed_for_as_long_as_lists_may_lag() -> None:
    provider, names = a_provider(2)
    lookout, balancer = Lookout({"sim": provider}), MemoryBalancer()
    observe(lookout, balancer, (), NOW)
    provider.hidden = {names[0]}
    missing = observe(lookout, balancer, (), later(1))
    assert {server.name for server in missing.servers} == set(names)
    assert missing.pending == {names[0]}, "nothing is done to what cannot be seen"
    assert missing.complete
    again = observe(lookout, balancer, (), later(3))
    assert again.pending == {names[0]}
    missed = observe(lookout, balancer, (), later(1) + LAG)
    assert missed.pending == {names[0]}, (
        "the first list without it may have been answered as late as the second was asked for"
    )
    gone = observe(lookout, balancer, (), later(3) + LAG)
    assert [server.name for server in gone.servers] == names[1:]


def test_a_server_that_is_known_to_be_destroyed_is_not_missed() -> None:
    provider, names = a_provider(2)
    lookout = Lookout({"sim": provider})
    lookout.list_servers(NOW)
    provider.hidden = {names[0]}
    lookout.went(names[0])
    assert not lookout.list_servers(later(1)).missed


def test_where_lists_are_exact_nothing_is_missed() -> None:
    provider, names = a_provider(1)
    provider.list_lag = timedelta(0)
    lookout = Lookout({"sim": provider})
    lookout.list_servers(NOW)
    provider.hidden = {names[0]}
    assert not lookout.list_servers(later(1)).missed


def enrolled(names: Sequence[str]) -> MemoryBalancer:
    balancer = MemoryBalancer()
    balancer.ensure([SERVICE])
    for name in names:
        balancer.enrol("web", name, Endpoint("h", {80: 80}))
        balancer.set_health(name, "up")
        balancer.attach(name)
    return balancer


def test_a_server_that_answers_exists_whatever_a_list_says() -> None:
    provider, names = a_provider(2)
    provider.hidden = {names[0]}
    balancer = enrolled(names)
    seen = observe(Lookout({"sim": provider}), balancer, [SERVICE], NOW)
    assert not seen.complete
    assert names[0] in seen.gaps[0]
    balancer.set_health(names[0], "down")
    assert observe(Lookout({"sim": provider}), balancer, [SERVICE], NOW).complete


def test_a_successor_in_the_same_slot_may_be_what_answers() -> None:
    provider, names = a_provider(1)
    provider.create(ServerSpec("p", 1, 9, GENERATION))
    provider.hidden = {names[0]}
    assert observe(Lookout({"sim": provider}), enrolled(names), [SERVICE], NOW).complete


def a_create(number: int) -> Entry:
    data = {"slot": number, "incarnation": number, "generation": 1}
    return Entry("server.create", "web", f"web-{number}", data=data)


def test_every_create_of_a_killed_controller_is_awaited(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.record(NOW, [a_create(number) for number in range(1, 301)])
    assert len(Recollection(journal).unresolved_creates(NOW + timedelta(seconds=1))) == 300
    assert not Recollection(journal).unresolved_creates(NOW + CREATE_WINDOW)


def test_a_create_that_worked_or_failed_may_be_missing_from_lists_that_lag(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.record(NOW, [a_create(1), a_create(2)])
    outcomes = [Entry("server.created", "web", "web-1", data={"verb": "create"})]
    outcomes += [Entry("action.failed", "web", "web-2", data={"verb": "create"})]
    journal.record(NOW, outcomes)
    assert not Recollection(journal).unresolved_creates(NOW)
    assert len(Recollection(journal).unresolved_creates(NOW, LAG)) == 2
    assert not Recollection(journal).unresolved_creates(NOW + LAG, LAG)


def test_the_journal_knows_who_exists(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.record(NOW, [a_create(number) for number in (1, 2, 3, 4)])
    made = {"verb": "create"}
    journal.record(NOW, [Entry("server.created", "web", f"web-{number}", data=made) for number in (1, 2)])
    journal.record(NOW, [Entry("server.destroyed", "web", "web-1"), Entry("action.lost", "web", "web-3", data=made)])
    there = [server.server for server in expected(journal, "web")]
    assert there == ["web-4", "web-2"], "of the fourth nothing is known, so it may be there"


def test_who_was_seen_exists_though_its_create_failed(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.record(NOW, [a_create(1), a_create(2)])
    journal.record(NOW, [Entry("action.failed", "web", f"web-{n}", data={"verb": "create"}) for n in (1, 2)])
    assert expected(journal, "web") == []
    journal.record(NOW, [Entry("server.enrol", "web", "web-2")])
    assert [server.server for server in expected(journal, "web")] == ["web-2"]


def test_what_is_recollected_follows_the_journal(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    recollection = Recollection(journal)
    journal.record(NOW, [Entry("server.attach", "web", "web-1")])
    recollection.refresh()
    assert set(recollection.marks(["web-1"]).attached_at) == {"web-1"}
    journal.record(NOW, [Entry("server.detach", "web", "web-1")])
    recollection.refresh()
    assert set(recollection.marks(["web-1"]).detached_at) == {"web-1"}
    assert not recollection.marks(["web-2"]).detached_at, "nobody asks for it any more"
    assert set(recollection.marks(["web-1", "web-2"]).detached_at) == {"web-1"}, "it is read once more"


def test_a_create_is_awaited_until_its_outcome_is_recorded_whoever_recorded_it(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.record(NOW, [a_create(1)])
    recollection = Recollection(journal)
    assert [one.server for one in recollection.unresolved_creates(NOW)] == ["web-1"]
    journal.record(NOW, [a_create(2), Entry("server.created", "web", "web-1", data={"verb": "create"})])
    assert [one.server for one in recollection.unresolved_creates(NOW)] == ["web-2"]
    assert not recollection.unresolved_creates(NOW + CREATE_WINDOW)


@given(
    st.lists(st.tuples(st.sampled_from(MARKING), st.sampled_from(["web-1", "web-2"])), max_size=25), st.integers(0, 25)
)
@settings(max_examples=40, deadline=None)
def test_following_the_journal_and_reading_it_anew_come_to_the_same(told: list[tuple[str, str]], early: int) -> None:
    """Also if the servers are asked for while the journal is being written."""
    with closing(SqliteJournal(Path(":memory:"))) as journal:
        followed = Recollection(journal)
        for number, (kind, server) in enumerate(told):
            if number >= early:
                followed.refresh()
                followed.marks(["web-1", "web-2"])
            journal.record(NOW + timedelta(seconds=number), [Entry(kind, "web", server)])
        followed.refresh()
        anew = Recollection(journal)
        assert followed.marks(["web-1", "web-2"]) == anew.marks(["web-1", "web-2"])
