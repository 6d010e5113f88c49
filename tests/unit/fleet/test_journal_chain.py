"""The journal's chain: any change to what was written is found, and where."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.fleet.controller.chain import Break, Head, Link, check, follow
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.problem import Problem

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
FIRST_SCHEMA = (Path(__file__).parents[2] / "data" / "journal-1.sql").read_text()

entries = st.lists(st.tuples(*[st.binary(max_size=6)] * 6), min_size=1, max_size=12)


def chained(contents: list[tuple[bytes, ...]]) -> tuple[list[Link], Head]:
    head, links = Head(), []
    for fields in contents:
        head = follow(head, fields)
        links.append(Link(head.sequence, fields, head.digest))
    return links, head


@given(entries)
def test_what_was_only_appended_is_whole(contents: list[tuple[bytes, ...]]) -> None:
    links, head = chained(contents)
    assert check(links, head) is None
    for link in links:
        assert check(links, head, Head(link.sequence, link.digest)) is None


@given(entries, st.data())
def test_a_change_of_any_field_is_found_at_its_entry(contents: list[tuple[bytes, ...]], data: st.DataObject) -> None:
    links, head = chained(contents)
    at = data.draw(st.integers(0, len(links) - 1))
    field = data.draw(st.integers(0, 5))
    new = data.draw(st.binary(max_size=6).filter(lambda value: value != contents[at][field]))
    fields = (*contents[at][:field], new, *contents[at][field + 1 :])
    links[at] = Link(at + 1, fields, links[at].digest)
    broken = check(links, head)
    assert broken is not None
    assert broken.sequence == at + 1


@given(entries, st.data())
def test_moving_bytes_from_a_field_to_the_next_is_found(contents: list[tuple[bytes, ...]], data: st.DataObject) -> None:
    contents = [(fields[0] + b"x", *fields[1:]) for fields in contents]
    links, head = chained(contents)
    at = data.draw(st.integers(0, len(links) - 1))
    first, second, *others = contents[at]
    links[at] = Link(at + 1, (first[:-1], first[-1:] + second, *others), links[at].digest)
    assert check(links, head) == Break(at + 1, "it is not what was written, or does not follow the one before it")


@given(entries, st.data(), st.booleans())
def test_a_dropped_entry_is_found_renumbered_or_not(
    contents: list[tuple[bytes, ...]], data: st.DataObject, renumber: bool
) -> None:
    links, head = chained(contents)
    at = data.draw(st.integers(0, len(links) - 1))
    left = links[:at] + links[at + 1 :]
    if renumber:
        left = [Link(number, link.fields, link.digest) for number, link in enumerate(left, 1)]
    broken = check(left, head)
    assert broken is not None
    assert broken.sequence == at + 1


@given(st.lists(st.tuples(*[st.binary(max_size=6)] * 6), min_size=2, max_size=12, unique=True), st.data())
def test_swapped_entries_are_found(contents: list[tuple[bytes, ...]], data: st.DataObject) -> None:
    links, head = chained(contents)
    one, other = sorted(data.draw(st.lists(st.integers(0, len(links) - 1), min_size=2, max_size=2, unique=True)))
    moved = list(links)
    moved[one] = Link(one + 1, links[other].fields, links[other].digest)
    moved[other] = Link(other + 1, links[one].fields, links[one].digest)
    broken = check(moved, head)
    assert broken is not None
    assert broken.sequence == one + 1


@given(entries, st.data())
def test_an_end_that_is_missing_is_found_by_the_head(contents: list[tuple[bytes, ...]], data: st.DataObject) -> None:
    links, head = chained(contents)
    left = data.draw(st.integers(0, len(links) - 1))
    assert check(links[:left], head) == Break(left + 1, f"it is missing: the journal went on to {len(links)}")


@given(entries, entries)
def test_a_whole_other_chain_is_found_by_a_head_that_was_written_down(
    contents: list[tuple[bytes, ...]], others: list[tuple[bytes, ...]]
) -> None:
    _, known = chained(contents)
    links, head = chained(others)
    if contents != others[: len(contents)]:
        assert check(links, head, known) is not None


@pytest.mark.parametrize("text", ["", "1", "1:ab", "x:" + "0" * 64, "1:" + "0" * 63 + "g"])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="no head of a journal"):
        Head.parse(text)


def filled(path: Path, count: int = 5) -> Head:
    journal = SqliteJournal(path)
    for number in range(count):
        journal.record(NOW + timedelta(seconds=number), [Entry("a.b", "web", f"web-{number}", "grüße", {"n": number})])
    assert journal.verify() is None
    head = journal.head()
    journal.close()
    assert Head.parse(str(head)) == head
    return head


def test_bytes_that_are_no_text_are_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    filled(path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE event SET message = CAST(x'ff00' AS TEXT) WHERE sequence = 4")
    db.close()
    broken = SqliteJournal(path).verify()
    assert broken is not None
    assert broken.sequence == 4


def first_journal(path: Path, count: int = 3) -> None:
    """As the first version of bluestone wrote it."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(f"BEGIN IMMEDIATE; {FIRST_SCHEMA} PRAGMA user_version = 1; COMMIT;")
    with db:
        for number in range(count):
            db.execute(
                "INSERT INTO event (at, kind, grp, server, message, data) VALUES (?, 'a.b', 'web', ?, 'why', '{}')",
                (NOW.isoformat(), f"web-{number}"),
            )
        db.execute("UPDATE counter SET next = 7")
    db.close()


def test_a_journal_of_the_first_schema_is_chained(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    first_journal(path)
    journal = SqliteJournal(path)
    assert [(e.sequence, e.server, e.message) for e in journal.events()] == [
        (1, "web-0", "why"),
        (2, "web-1", "why"),
        (3, "web-2", "why"),
    ]
    assert journal.next_incarnation() == 7
    assert journal.verify() is None
    journal.record(NOW, [Entry("c.d")])
    assert journal.verify() is None
    assert journal.head().sequence == 4


def test_a_migrated_journal_is_like_a_new_one(tmp_path: Path) -> None:
    first_journal(tmp_path / "old.db")
    SqliteJournal(tmp_path / "old.db").close()
    SqliteJournal(tmp_path / "new.db").close()

    def shape(path: Path) -> list[tuple[str, list[tuple[object, ...]]]]:
        db = sqlite3.connect(path)
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE sql <> '' ORDER BY name")]
        found = [(name, db.execute(f"PRAGMA table_info({name})").fetchall()) for name in names]
        db.close()
        return found

    assert shape(tmp_path / "old.db") == shape(tmp_path / "new.db")


def test_an_earlier_bluestone_that_still_runs_can_add_nothing_to_a_migrated_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    first_journal(path)
    old = sqlite3.connect(path, isolation_level=None)
    SqliteJournal(path).close()
    with pytest.raises(sqlite3.Error):
        old.execute("INSERT INTO event (at, kind, grp, server, message, data) VALUES ('', '', '', '', '', '{}')")
    old.close()
    assert SqliteJournal(path).verify() is None


OPENER = """
import sys
from pathlib import Path
from bluestone.fleet.journals.sqlite import SqliteJournal
sys.stdin.readline()
print(SqliteJournal(Path(sys.argv[1])).verify())
"""


def test_several_at_once_migrate_it_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    first_journal(path, count=500)
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    assert [opener.communicate()[0] for opener in openers] == ["None\n"] * 3
    assert SqliteJournal(path).head().sequence == 500
