"""The journal port's contract, sentence by sentence, on every adapter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.fleet.controller.chain import Break, Head, follow
from bluestone.fleet.controller.fence import boot_clock, inheriting, leading
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.lease import Fenced, Holder, Led
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Amount, Group, Port, RolloutPolicy, SecretRef
from bluestone.model.problem import Problem, Refused
from journal_rigs import PostgresRig, Rig, SqliteRig, closing
from postgres_server import PostgresServer, needs_postgres

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
IMAGE = "sha256:" + "a" * 64
LONG, SHORT = timedelta(minutes=5), timedelta(milliseconds=200)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.e2e, needs_postgres])])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "sqlite":
        made: Rig = SqliteRig(tmp_path)
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made = PostgresRig(server)
    with closing(made):
        yield made


@pytest.fixture
def journal(rig: Rig) -> Journal:
    return rig.open()


def holder(token: str, host: str = "one") -> Holder:
    return Holder(token, host, f"machine-{host}", 1, "somebody", "bluestone up", NOW)


def lead(journal: Journal, token: str, host: str = "one", length: timedelta = LONG, **how: bool) -> int:
    """Take the lease without a thread that renews it; the epoch."""
    lease = journal.take(holder(token, host), length, **how)
    journal.fence.open(lease.epoch, 0, length)
    return lease.epoch


# Entries


def test_events_come_back_as_they_went_in(rig: Rig, journal: Journal) -> None:
    entries = [
        Entry("server.create", "web", "web-1", "because: größer, 'quoted', 100 %?\n", {"slot": 1, "odd": "\0"}),
        Entry("rollout.started", "web"),
    ]
    journal.record(NOW, entries)
    again = rig.open().events()
    assert [(e.sequence, e.at, e.kind, e.group, e.server, e.message) for e in again] == [
        (1, NOW, "server.create", "web", "web-1", "because: größer, 'quoted', 100 %?\n"),
        (2, NOW, "rollout.started", "web", "", ""),
    ]
    assert again[0].data == {"slot": 1, "odd": "\0"}


def test_what_is_no_text_is_written_as_text(journal: Journal) -> None:
    journal.record(NOW, [Entry("a.b", message="of a program: \0 \udcff")])
    assert journal.events()[0].message == "of a program: \N{REPLACEMENT CHARACTER} ?"
    assert journal.verify() is None


def test_nothing_is_recorded_for_no_entries(journal: Journal) -> None:
    journal.record(NOW, [], incarnations=7)
    assert (journal.head(), journal.next_incarnation()) == (Head(), 1)


def test_events_are_found_by_kind_group_and_server_newest_first(journal: Journal) -> None:
    journal.record(NOW, [Entry("a.a", "web", "web-1"), Entry("b.b", "db", "db-1"), Entry("a.a", "web", "web-2")])
    journal.record(NOW, [Entry("a.a")])

    def found(**how: object) -> list[int]:
        return [event.sequence for event in journal.select(["a.a", "b.b"], **how)]  # type: ignore[arg-type]

    assert found() == [4, 3, 2, 1]
    assert found(group="web") == [3, 1]
    assert found(server="db-1") == [2]
    assert found(group="web", server="web-1") == [1]
    assert found(after=2) == [4, 3]
    assert found(newest=2) == [4, 3]
    assert found(newest=0) == []
    assert [event.sequence for event in journal.select(["b.b"])] == [2]
    assert journal.select([]) == []
    newest = journal.last(["a.a"], group="web")
    assert newest is not None
    assert newest.sequence == 3
    assert journal.last(["c.c"]) is None
    assert [event.sequence for event in journal.events(limit=2)] == [3, 4]
    assert [event.sequence for event in journal.events(after=3)] == [4]


def test_the_newest_of_each_kind_is_found_for_many_servers_at_once(journal: Journal) -> None:
    servers = [f"web-{number}" for number in range(1200)]
    journal.record(NOW, [Entry(kind, "web", name) for name in servers for kind in ("a.a", "b.b", "c.c")])
    journal.record(NOW, [Entry("a.a", "web", "web-1", "again"), Entry("a.a", "web")])
    found = journal.newest(["a.a", "b.b"], [*servers, "web-unknown", ""])
    assert found.keys() == set(servers)
    assert {kind: event.sequence for kind, event in found["web-0"].items()} == {"a.a": 1, "b.b": 2}
    assert found["web-1"]["a.a"].message == "again"
    assert found["web-1199"]["b.b"] == journal.last(["b.b"], server="web-1199")
    assert journal.newest([], servers) == journal.newest(["a.a"], []) == {}


def test_numbers_are_never_given_out_twice(rig: Rig, journal: Journal) -> None:
    assert journal.next_incarnation() == 1
    journal.record(NOW, [Entry("server.create")], incarnations=5)
    journal.record(NOW, [Entry("server.create")], incarnations=3)
    assert rig.open().next_incarnation() == 6


def test_a_generation_keeps_its_number_and_its_whole_configuration(journal: Journal) -> None:
    config = ServerConfig("podman", (80,), environment={"A": "b"}, secrets=(SecretRef("S", "env", "S"),))
    first = journal.generation("web", IMAGE, config, keep=True)
    other = journal.generation("web", IMAGE, ServerConfig("podman"), keep=True)
    assert (first.number, other.number) == (1, 2)
    assert journal.generation("web", IMAGE, config, keep=True).number == 1
    assert journal.generation_number("web", 1) == first
    assert journal.generation("web", "sha256:" + "b" * 64, config, keep=False).number == 3
    assert journal.generation_number("web", 3) is None
    assert journal.generation("db", IMAGE, config, keep=True).number == 1


def test_a_provider_is_looked_at_while_it_may_have_servers(journal: Journal) -> None:
    journal.generation("web", IMAGE, ServerConfig("podman"), keep=True)
    journal.generation("web", IMAGE, ServerConfig("qemu"), keep=True)
    born = [Entry("server.create", "web", f"web-{number}", data={"generation": number}) for number in (1, 2)]
    assert journal.providers() == set()
    journal.record(NOW, born)
    assert journal.providers() == {"podman", "qemu"}
    journal.record(NOW, [Entry("server.destroy", "web", "web-1"), Entry("server.destroyed", "web", "web-2")])
    assert journal.providers() == {"podman"}


def test_groups_are_remembered_as_declared(journal: Journal) -> None:
    policy = RolloutPolicy("rolling", Amount(25, percent=True), drain=timedelta(seconds=7))
    group = Group("web", count=2, ports=(Port(1, 2),), rollout=policy)
    journal.declare([Group("web"), Group("db")])
    journal.declare([group])
    assert journal.declared() == [Group("db"), group]
    journal.forget_group("web")
    journal.forget_group("web")
    assert journal.declared() == [Group("db")]


# The chain


def test_every_adapter_has_the_same_chain(journal: Journal) -> None:
    head = Head()
    for number in range(3):
        journal.record(NOW, [Entry("a.b", "web", "web-1", "grüße", {"n": number, "of": ["a", None]})])
        data = f'{{"n":{number},"of":["a",null]}}'.encode()
        head = follow(head, (b"2026-11-23T08:00:00+00:00", b"a.b", b"web", b"web-1", "grüße".encode(), data))
        assert journal.head() == head
    assert journal.verify() is None
    assert journal.verify(head) is None


@pytest.mark.parametrize(
    ("tampering", "sequence"),
    [
        ("UPDATE event SET message = 'another' WHERE sequence = 3", 3),
        ("UPDATE event SET at = '2026-11-23T08:00:09+00:00' WHERE sequence = 2", 2),
        ("DELETE FROM event WHERE sequence = 2", 2),
        ("DELETE FROM event WHERE sequence > 3", 4),
        ("DELETE FROM event", 1),
        ("UPDATE head SET sequence = 4", 5),
        ("UPDATE event SET sequence = 100 WHERE sequence = 5", 5),
    ],
)
def test_tampering_is_found(rig: Rig, journal: Journal, tampering: str, sequence: int) -> None:
    for number in range(5):
        journal.record(NOW, [Entry("a.b", "web", f"web-{number}", "why", {"n": number})])
    rig.tamper(tampering)
    broken = journal.verify()
    assert broken is not None
    assert broken.sequence == sequence


def test_a_truncated_journal_stays_broken_however_much_is_added(rig: Rig, journal: Journal) -> None:
    journal.record(NOW, [Entry("a.b")] * 5)
    rig.tamper("DELETE FROM event WHERE sequence > 3")
    journal.record(NOW, [Entry("c.d")])
    assert journal.verify() == Break(4, "it is missing")


# Several at once


def test_several_append_without_gaps_and_in_one_chain(rig: Rig) -> None:
    def append(writer: int) -> None:
        mine = rig.open()
        for number in range(15):
            mine.record(NOW, [Entry("a.b", server=f"w-{writer}", data={"n": number})] * 2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    journal = rig.open()
    events = journal.events()
    assert [event.sequence for event in events] == list(range(1, 121))
    assert journal.verify() is None
    for writer in range(4):
        numbers = [event.data["n"] for event in events if event.server == f"w-{writer}"]
        assert numbers == [number for number in range(15) for _ in range(2)]


def test_threads_of_one_process_share_a_journal(journal: Journal) -> None:
    def append(writer: int) -> None:
        for _ in range(10):
            journal.record(NOW, [Entry("a.b", server=f"w-{writer}")])
            journal.verify()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    assert journal.head().sequence == 40
    assert journal.verify() is None


def test_one_generation_gets_one_number_whoever_asks(rig: Rig) -> None:
    journals = [rig.open() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda one: one.generation("web", IMAGE, ServerConfig("podman"), keep=True), journals))
    assert {found.number for found in numbers} == {1}


# The lease


def test_nobody_leads_at_first(journal: Journal) -> None:
    assert journal.lease() is None
    assert journal.fence.epoch == 0
    journal.fence.may_act()


def test_a_lease_says_who_leads_and_for_how_long(rig: Rig, journal: Journal) -> None:
    assert lead(journal, "a") == 1
    lease = rig.open().lease()
    assert lease is not None
    assert (lease.epoch, lease.holder, lease.returned) == (1, holder("a"), False)
    assert 290 < lease.left <= 300


def test_a_second_holder_is_refused_and_told_who_leads(rig: Rig, journal: Journal) -> None:
    lead(journal, "a")
    for heir in (False, True):
        with pytest.raises(Led, match=r"process 1 \(`bluestone up`\) of somebody on machine-one") as refused:
            lead(rig.open(), "b", heir=heir)
        assert refused.value.lease.epoch == 1
    journal.record(NOW, [Entry("a.b")])


def test_what_was_given_back_is_handed_on_without_a_word(rig: Rig, journal: Journal) -> None:
    lead(journal, "a")
    journal.give_back()
    lease = journal.lease()
    assert lease is not None
    assert (lease.left, lease.returned) == (0, True)
    assert lead(rig.open(), "b") == 2
    assert journal.events() == []


def test_a_lease_that_ended_can_be_had_and_that_is_written_down(rig: Rig, journal: Journal) -> None:
    lead(journal, "a", length=timedelta(0))
    assert lead(rig.open(), "b") == 2
    (event,) = journal.events()
    assert (event.kind, event.data) == ("lease.taken", {"epoch": 2, "host": "one"})
    assert "did not give the lease back" in event.message
    assert journal.verify() is None


def test_a_lease_that_ended_can_be_renewed_while_nobody_else_has_it(rig: Rig, journal: Journal) -> None:
    lead(journal, "a", length=timedelta(0))
    journal.renew(LONG)
    with pytest.raises(Led):
        lead(rig.open(), "b")


def test_a_holder_that_asks_again_has_the_same_lease(journal: Journal) -> None:
    """An answer may get lost: the same holder's second question is no takeover."""
    assert [lead(journal, "a"), lead(journal, "a")] == [1, 1]
    assert journal.events() == []


def test_a_declaration_of_another_machine_has_to_be_told_to_take_over(rig: Rig, journal: Journal) -> None:
    lead(journal, "a")
    journal.give_back()
    other = rig.open()
    with pytest.raises(Led, match=r"last led from another machine: .* on machine-one"):
        lead(other, "b", "two")
    assert lead(other, "b", "two", take_over=True) == 2
    assert "before it" in journal.events()[0].message
    other.give_back()
    with pytest.raises(Led, match=r"last led from another machine: .* on machine-two"):
        lead(journal, "c", "one")


def test_an_heir_goes_on_from_another_machine(rig: Rig, journal: Journal) -> None:
    lead(journal, "a", length=timedelta(0))
    assert lead(rig.open(), "b", "two", heir=True) == 2


def test_where_an_heir_led_the_declaration_is_that_of_whom_it_followed(rig: Rig, journal: Journal) -> None:
    lead(journal, "a", length=timedelta(0))
    lead(rig.open(), "b", "two", heir=True, length=timedelta(0))
    with pytest.raises(Led, match="declared on another machine"):
        lead(rig.open(), "c", "two")
    assert lead(rig.open(), "d") == 3
    assert lead(rig.open(), "e", "two", take_over=True) == 4


CHANGES: dict[str, Callable[[Journal], object]] = {
    "record": lambda journal: journal.record(NOW, [Entry("a.b")], incarnations=9),
    "generation": lambda journal: journal.generation("web", "sha256:" + "c" * 64, ServerConfig("podman"), keep=True),
    "declare": lambda journal: journal.declare([Group("new")]),
    "forget": lambda journal: journal.forget_group("web"),
    "renew": lambda journal: journal.renew(LONG),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_was_taken_over_from_changes_nothing(rig: Rig, journal: Journal, change: str) -> None:
    journal.declare([Group("web")])
    lead(journal, "a")
    other = rig.open()
    lead(other, "b", "two", take_over=True)
    before = (other.head(), other.next_incarnation(), other.declared(), other.lease())
    with pytest.raises(Fenced, match=r"another controller leads now: .* on machine-two"):
        CHANGES[change](journal)
    now = (other.head(), other.next_incarnation(), other.declared(), other.lease())
    assert now[:3] == before[:3]
    assert now[3] is not None
    assert now[3].holder.token == "b"
    assert other.generation("web", "sha256:" + "c" * 64, ServerConfig("podman"), keep=False).number == 1
    CHANGES[change](other)
    journal.give_back()
    with pytest.raises(Led):
        lead(rig.open(), "c")


def test_a_person_may_write_whoever_leads(rig: Rig, journal: Journal) -> None:
    lead(journal, "a")
    rig.open().record(NOW, [Entry("fleet.paused")])
    assert journal.last(["fleet.paused"]) is not None


def test_of_many_that_want_to_lead_one_does(rig: Rig) -> None:
    start = threading.Barrier(4)

    def attempt(number: int) -> int:
        mine = rig.open()
        start.wait()
        try:
            return lead(mine, f"h-{number}")
        except Led:
            return 0

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [0, 0, 0, 1]


def test_leading_renews_and_gives_back(rig: Rig, journal: Journal) -> None:
    other = rig.open()
    with leading(journal, holder("a"), length=SHORT) as lease:
        assert (lease.epoch, journal.fence.epoch) == (1, 1)
        with pytest.raises(Led), leading(other, holder("b"), length=SHORT):
            pass
        journal.fence.may_act()
        journal.record(NOW, [Entry("a.b")])
    assert journal.fence.epoch == 0
    with leading(other, holder("b"), length=SHORT) as lease:
        assert lease.epoch == 2


def test_a_holder_that_is_taken_over_from_may_begin_nothing_when_the_next_begins(rig: Rig, journal: Journal) -> None:
    other = rig.open()
    lead(journal, "a", length=SHORT)
    journal.fence.open(1, boot_clock(), SHORT)  # as if it had been renewed just now, by a machine that hangs since
    with leading(other, holder("b"), take_over=True, length=SHORT) as lease:
        assert lease.former > 0
        with pytest.raises(Refused):
            journal.fence.may_act()


def test_a_holder_that_is_known_to_have_ended_is_not_waited_for(rig: Rig, journal: Journal) -> None:
    lead(journal, "a", length=timedelta(hours=1))
    with leading(rig.open(), holder("b"), gone=True) as lease:
        assert lease.epoch == 2


def test_a_holder_that_is_gone_is_waited_for_no_longer_than_its_lease(rig: Rig, journal: Journal) -> None:
    lead(journal, "a", length=SHORT)
    with leading(rig.open(), holder("b"), length=SHORT) as lease:
        assert lease.epoch == 2


def test_who_was_taken_over_from_may_not_act_any_more(rig: Rig, journal: Journal) -> None:
    with leading(journal, holder("a"), length=SHORT):
        with leading(rig.open(), holder("b", "two"), take_over=True, length=SHORT):
            lost = threading.Event()
            while journal.fence.lost is None:
                lost.wait(0.01)
            with pytest.raises(Refused, match=r"another controller leads now: .* on machine-two"):
                journal.fence.may_act()
        with pytest.raises(Fenced):
            journal.record(NOW, [Entry("a.b")])
    with pytest.raises(Fenced):
        journal.record(NOW, [Entry("a.b")])
    # Having the lease again mends that.
    with leading(journal, holder("c"), take_over=True, length=SHORT):
        journal.record(NOW, [Entry("a.b")])


def test_an_heir_leads_as_soon_as_nobody_does(rig: Rig, journal: Journal) -> None:
    stop, epochs, ready = threading.Event(), [], threading.Event()

    def follow_on() -> None:
        mine = rig.open()
        ready.set()
        with inheriting(mine, holder("b", "two"), stop, length=SHORT) as lease:
            epochs.append(lease.epoch if lease else 0)

    heir = threading.Thread(target=follow_on)
    with leading(journal, holder("a"), length=SHORT):
        heir.start()
        ready.wait()
        heir.join(0.3)
        assert epochs == []
    heir.join()
    assert epochs == [2]
    with leading(journal, holder("c"), take_over=True, length=SHORT):
        stop.set()
        follow_on()
    assert epochs == [2, 0]


# Moving


def test_a_journal_moves_with_all_that_is_in_it(rig: Rig, journal: Journal, tmp_path: Path) -> None:
    config = ServerConfig("podman", (80,))
    journal.generation("web", IMAGE, config, keep=True)
    journal.declare([Group("web", count=2)])
    journal.record(NOW, [Entry("a.b", "web", "web-1", f"grüße {n}", {"n": n}) for n in range(2500)], incarnations=41)
    elsewhere = SqliteJournal(tmp_path / "elsewhere.db")
    back = _another(rig, tmp_path).open()
    for source, target in ((journal, elsewhere), (elsewhere, back)):
        with source.contents() as contents:
            target.fill(contents)
        assert target.head() == journal.head()
        assert target.verify() is None
        assert target.events() == journal.events()
        assert target.generation("web", IMAGE, config, keep=False).number == 1
        assert target.generation_number("web", 1) == journal.generation_number("web", 1)
        assert target.declared() == journal.declared()
        assert target.next_incarnation() == 42
    elsewhere.close()


def test_a_journal_is_not_moved_over_another(rig: Rig, journal: Journal, tmp_path: Path) -> None:
    journal.record(NOW, [Entry("a.b")])
    head = journal.head()
    with SqliteJournal(tmp_path / "elsewhere.db").contents() as contents, pytest.raises(Problem, match="not empty"):
        journal.fill(contents)
    assert journal.head() == head


def _another(rig: Rig, tmp_path: Path) -> Rig:
    if isinstance(rig, PostgresRig):
        return PostgresRig(rig.server)
    (tmp_path / "another").mkdir()
    return SqliteRig(tmp_path / "another")
