import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.recall import Recollection, recall
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.problem import Problem

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
IMAGE = "sha256:" + "a" * 64


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return SqliteJournal(tmp_path / "journal.db")


def test_memory_follows_the_newest_of_opposite_events(journal: Journal) -> None:
    for seconds, kind in enumerate(["server.detach", "server.attach", "server.detach", "server.down", "server.up"]):
        journal.record(NOW + timedelta(seconds=seconds), [Entry(kind, "web", "web-1")])
    memory = recall(journal, ["web"], ["web-1"], NOW)
    assert memory.detached_at == {"web-1": NOW + timedelta(seconds=2)}
    assert memory.down_since == {}


def test_a_new_rollout_begins_with_a_clean_slate(journal: Journal) -> None:
    journal.record(NOW, [Entry("server.died", "web", "web-1"), Entry("action.failed", "web", message="disk full")])
    journal.record(NOW, [Entry("rollout.settled", "web"), Entry("rollout.halted", "web", message="why")])
    before = recall(journal, ["web"], ["web-1"], NOW)
    assert before.deaths == {"web": 1}
    assert before.failures["web"].error == "disk full"
    assert before.halted == {"web": "why"}
    assert before.settled_at == {"web": NOW}
    journal.record(NOW, [Entry("rollout.started", "web")])
    after = recall(journal, ["web"], ["web-1"], NOW)
    assert (after.deaths, after.failures, after.halted, after.settled_at) == ({"web": 0}, {}, {}, {})
    assert after.died == {"web-1"}, "what is dead stays dead"


def test_a_success_ends_a_row_of_failures(journal: Journal) -> None:
    create = {"verb": "create"}
    failed, created = Entry("action.failed", "web", data=create), Entry("server.created", "web", data=create)
    journal.record(NOW, [failed, created, failed])
    assert recall(journal, ["web"], [], NOW).failures["web"].count == 1
    journal.record(NOW, [created])
    assert recall(journal, ["web"], [], NOW).failures == {}


def test_a_success_of_another_verb_does_not(journal: Journal) -> None:
    """What a create left that failed is destroyed, and that works: else creates would fail for ever."""
    failed = Entry("action.failed", "web", message="no nft", data={"verb": "create"})
    for _ in range(3):
        journal.record(NOW, [failed, Entry("server.destroyed", "web", data={"verb": "destroy"})])
    failures = recall(journal, ["web"], [], NOW).failures["web"]
    assert (failures.count, failures.error) == (3, "no nft")


def test_creates_without_an_outcome_are_known_for_a_while(journal: Journal) -> None:
    data = {"slot": 1, "incarnation": 4, "generation": 1}
    journal.record(NOW, [Entry("server.create", "web", "web-1", data=data)])
    journal.record(NOW, [Entry("server.create", "web", "web-2", data=data), Entry("server.created", "web", "web-2")])
    assert [u.server for u in Recollection(journal).unresolved_creates(NOW + timedelta(seconds=9))] == ["web-1"]
    assert Recollection(journal).unresolved_creates(NOW + timedelta(seconds=11)) == []


def test_a_create_that_was_never_begun_is_not_waited_for(journal: Journal) -> None:
    data = {"slot": 1, "incarnation": 4, "generation": 1}
    journal.record(NOW, [Entry("server.create", "web", "web-1", data=data), Entry("action.refused", "web", "web-1")])
    assert Recollection(journal).unresolved_creates(NOW + timedelta(seconds=1)) == []


def test_a_newer_schema_is_refused(journal: Journal, tmp_path: Path) -> None:
    journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(Problem, match="newer bluestone"):
        SqliteJournal(tmp_path / "journal.db")


def test_a_file_that_is_no_journal_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("this is not a database, but long enough to look at" * 50)
    with pytest.raises(Problem, match="cannot be used"):
        SqliteJournal(tmp_path / "journal.db")


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.journals.sqlite import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
for number in range(1_000_000):
    journal.record(datetime.now(UTC), [Entry("a.b", data={"n": number}), Entry("c.d", data={"n": number})])
    print(number, flush=True)
"""


def test_what_was_recorded_survives_kill_9_and_groups_are_whole(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "journal.db")], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(50):
        recorded = int(writer.stdout.readline())
    writer.kill()
    writer.wait()
    events = SqliteJournal(tmp_path / "journal.db").events()
    assert len(events) % 2 == 0, "a group of events is recorded whole or not at all"
    assert events[-1].data["n"] >= recorded
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
