import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.query.conditions import Contains
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store.database import connect
from bluestone.logs.store.seal import seal
from bluestone.logs.store.store import Batch, Store, is_full
from bluestone.logs.store.words import words_of
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def identity(server: str, group: str = "web", generation: int = 1) -> Identity:
    return Identity("shop", server, group, generation, "sha256:" + "ab" * 32)


def journal_line(number: int, message: str = "", seconds: float | None = None, **fields: str) -> bytes:
    at = START + timedelta(seconds=number if seconds is None else seconds)
    micros = round(at.timestamp() * 1_000_000)
    line = {
        "__CURSOR": f"s=1;i={number:x}",
        "__REALTIME_TIMESTAMP": str(micros),
        "MESSAGE": message or f"line {number}",
        "_SYSTEMD_UNIT": "nginx.service",
    }
    return json.dumps(line | fields).encode()


class Keeper:
    """A store with credentials and an archive, as the receiver and the command line hold them."""

    def __init__(self, directory: Path, *, sealing: bool = False) -> None:
        self.directory = directory
        self.sealing = sealing
        self.store = Store(directory)
        self.credentials = Credentials(directory)
        self.archive = Archive(directory)

    def server(self, name: str, group: str = "web", generation: int = 1) -> int:
        holder = self.credentials.holder(self.credentials.mint(identity(name, group, generation)))
        assert holder is not None
        return holder

    def write(self, server: int, *originals: bytes) -> None:
        self.store.append([Batch(server, tuple(parse_line(original, 1) for original in originals))])
        if self.sealing:
            self.seal()

    def seal(self) -> None:
        self.store.turn()
        seal(self.directory)

    def messages(self, query: Query | None = None) -> list[str]:
        return [record.message for record in self.archive.search(query or Query())]


@pytest.fixture(params=["log", "segments"])
def keeper(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Keeper]:
    """A store whose lines stay in the write-ahead log, and one where each write is sealed at once."""
    keeper = Keeper(tmp_path / "logs", sealing=request.param == "segments")
    yield keeper
    keeper.store.close()
    keeper.credentials.close()
    keeper.archive.close()


def test_a_stored_line_comes_back_whole_with_its_writers_identity(keeper: Keeper) -> None:
    original = journal_line(1, "hello", PRIORITY="4", EXTRA="kept")
    keeper.write(keeper.server("web-1", generation=7), original)
    (record,) = keeper.archive.search(Query())
    assert record.identity == identity("web-1", generation=7)
    assert (record.message, record.unit, record.severity) == ("hello", "nginx.service", 4)
    assert record.at == START + timedelta(seconds=1)
    assert record.cursor == "s=1;i=1"
    assert record.original == original


def test_a_line_sent_again_is_kept_once_and_one_of_another_server_is_another(keeper: Keeper) -> None:
    one, two = keeper.server("web-1"), keeper.server("web-2")
    keeper.write(one, journal_line(1), journal_line(2))
    keeper.write(one, journal_line(2), journal_line(3), journal_line(3))
    keeper.write(two, journal_line(1))
    assert keeper.messages(Query(server="web-1")) == ["line 1", "line 2", "line 3"]
    assert keeper.messages(Query(server="web-2")) == ["line 1"]
    assert [(writer.identity.server, writer.lines) for writer in keeper.archive.writers()] == [
        ("web-1", 3),
        ("web-2", 1),
    ]


def test_an_append_that_fails_stores_nothing_and_the_next_one_works(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = keeper.server("web-1")
    keeper.write(server, journal_line(0))

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="gone"):
            keeper.write(server, journal_line(1))
    assert keeper.messages() == ["line 0"]
    keeper.write(server, journal_line(1))
    assert keeper.messages() == ["line 0", "line 1"]


@pytest.mark.parametrize("written", [0, 7, 30])
def test_a_full_disk_keeps_nothing_of_the_batch_and_recovers(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    server = keeper.server("web-1")
    keeper.write(server, journal_line(0))
    real, calls = os.pwrite, iter([written])

    def full(descriptor: int, content: memoryview, offset: int) -> int:
        """Takes some bytes, and then no more."""
        if count := next(calls, 0):
            return real(descriptor, content[:count], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    many = [journal_line(number) for number in range(1, 500)]
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(OSError) as fault:
            keeper.write(server, *many)
    assert is_full(fault.value)
    assert keeper.messages() == ["line 0"]
    keeper.write(server, *many)
    assert len(keeper.messages()) == 500
    assert keeper.archive.writers()[0].lines == 500


def test_a_fault_that_is_not_the_disks_is_not_called_full() -> None:
    assert not is_full(OSError(errno.EACCES, "no"))


def test_goodbye_holds_only_while_it_is_the_last_word_and_every_line_is_there(keeper: Keeper) -> None:
    server = keeper.server("web-1")
    goodbye = journal_line(9, "goodbye", _BLUESTONE_GOODBYE="2")
    assert not keeper.archive.said_goodbye("web-1")
    keeper.write(server, goodbye)
    assert not keeper.archive.said_goodbye("web-1"), "it spoke of two lines, and none is here"
    keeper.write(server, journal_line(1), journal_line(2))
    assert not keeper.archive.said_goodbye("web-1"), "lines came after it"
    keeper.write(server, journal_line(10, "goodbye", _BLUESTONE_GOODBYE="2"))
    assert keeper.archive.said_goodbye("web-1")
    keeper.write(server, journal_line(2))
    assert keeper.archive.said_goodbye("web-1"), "a line sent again is no new line"
    assert not keeper.archive.said_goodbye("web-2")


def test_lines_are_found_by_server_group_time_and_severity(keeper: Keeper) -> None:
    web, database = keeper.server("web-1"), keeper.server("db-1", "db")
    keeper.write(web, journal_line(1, PRIORITY="3"), journal_line(3, PRIORITY="6"))
    keeper.write(database, journal_line(2, PRIORITY="4"), journal_line(4))
    assert keeper.messages() == ["line 1", "line 2", "line 3", "line 4"]
    assert keeper.messages(Query(group="db")) == ["line 2", "line 4"]
    assert keeper.messages(Query(server="web-1")) == ["line 1", "line 3"]
    assert keeper.messages(Query(server="web-1", group="db")) == []
    assert keeper.messages(Query(severity=4)) == ["line 1", "line 2"]
    second, fourth = START + timedelta(seconds=2), START + timedelta(seconds=4)
    assert keeper.messages(Query(since=second, until=fourth)) == ["line 2", "line 3"]


def test_a_limit_keeps_the_newest_or_the_oldest_in_the_order_of_time(keeper: Keeper) -> None:
    server = keeper.server("web-1")
    keeper.write(server, *(journal_line(number) for number in range(5)))
    assert keeper.messages(Query(limit=2)) == ["line 3", "line 4"]
    assert keeper.messages(Query(limit=2, newest=False)) == ["line 0", "line 1"]
    assert keeper.messages(Query(limit=0)) == []
    assert [record.message for record in keeper.archive.last_lines("web-1", 2)] == ["line 3", "line 4"]


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("limit", [None, 1000, 2050])
def test_pages_join_without_a_seam_even_among_equal_times(keeper: Keeper, newest: bool, limit: int | None) -> None:
    count = 2100
    keeper.write(keeper.server("web-1"), *(journal_line(n, seconds=n // 700) for n in range(count)))
    expected = [f"line {number}" for number in range(count)]
    if limit is not None:
        expected = expected[-limit:] if newest else expected[:limit]
    assert keeper.messages(Query(limit=limit, newest=newest)) == expected


@pytest.mark.parametrize(
    ("grep", "found"),
    [
        ("error", ["Error 500: ÄRGER", "no error"]),
        ("ärger", ["Error 500: ÄRGER"]),
        ("100%_.*", ["100%_.* literally"]),
        ("/^error \\d+/", ["Error 500: ÄRGER"]),
        ("/", ["a/b"]),
        ("x' OR 1=1 --", []),
    ],
)
def test_grep_finds_text_in_either_case_or_a_pattern(keeper: Keeper, grep: str, found: list[str]) -> None:
    texts = ["Error 500: ÄRGER", "no error", "100%_.* literally", "a/b"]
    keeper.write(keeper.server("web-1"), *(journal_line(number, text) for number, text in enumerate(texts)))
    assert keeper.messages(Query(grep=grep)) == found


@pytest.mark.parametrize("grep", ["/(/", "/a{1001}/", "x" * 501])
def test_a_pattern_that_is_none_is_refused_before_anything_is_read(keeper: Keeper, grep: str) -> None:
    with pytest.raises(Problem):
        keeper.archive.search(Query(grep=grep))
    with pytest.raises(Problem):
        keeper.archive.follow(Query(grep=grep))


@given(st.text(min_size=1, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_plain_text_is_found_wherever_it_stands(word: str, before: str, after: str) -> None:
    assert Contains(word).holds(before + word + after)
    assert set(Contains(word).words) <= set(words_of(before + word + after))


def test_names_are_values_and_not_sql(keeper: Keeper) -> None:
    keeper.write(keeper.server("web-1"), journal_line(1))
    assert keeper.messages(Query(server="' OR '1'='1", group='"; DROP TABLE lines; --')) == []
    assert keeper.messages() == ["line 1"]


def test_follow_gives_what_was_there_and_then_each_new_line_once(keeper: Keeper) -> None:
    server = keeper.server("web-1")
    keeper.write(server, *(journal_line(number) for number in range(3)))
    arrivals = iter([[3, 4], [], list(range(5, 2505)), []])

    def done() -> bool:
        """Lines arrive between two looks; some of them with times before those that were shown."""
        numbers = next(arrivals, None)
        if numbers is None:
            return True
        keeper.write(server, *(journal_line(number, seconds=-number) for number in numbers))
        return False

    shown = [record.message for record in keeper.archive.follow(Query(limit=2), done)]
    assert shown == ["line 1", "line 2", *(f"line {number}" for number in range(3, 2505))]


def test_follow_shows_only_what_is_asked_for(keeper: Keeper) -> None:
    web, database = keeper.server("web-1"), keeper.server("db-1", "db")
    rounds = iter([1, 2])

    def done() -> bool:
        number = next(rounds, None)
        if number is None:
            return True
        keeper.write(web, journal_line(number, "GET /"))
        keeper.write(database, journal_line(number, "SELECT"))
        return False

    shown = [record.message for record in keeper.archive.follow(Query(group="db", grep="select"), done)]
    assert shown == ["SELECT", "SELECT"]


def test_a_reader_cannot_write(keeper: Keeper) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        keeper.archive._database.execute("DELETE FROM servers")


@pytest.mark.parametrize("sealing", [True, False])
def test_everything_is_found_again_after_a_restart(tmp_path: Path, sealing: bool) -> None:
    first = Keeper(tmp_path, sealing=sealing)
    server = first.server("web-1")
    first.write(server, *(journal_line(number) for number in range(50)))
    for part in (first.store, first.credentials, first.archive):
        part.close()
    again = Keeper(tmp_path)
    again.write(server, journal_line(49), journal_line(50))
    assert again.messages() == [f"line {number}" for number in range(51)]


def test_a_store_of_a_later_format_is_left_alone(tmp_path: Path) -> None:
    connect(tmp_path).execute("PRAGMA user_version = 99")
    with pytest.raises(Problem, match="format 99"):
        connect(tmp_path)


def test_a_file_that_is_no_store_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "lines.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(Problem, match="cannot open the log store"):
        connect(tmp_path)


def test_the_tokens_themselves_are_nowhere_on_the_disk(keeper: Keeper) -> None:
    token = keeper.credentials.mint(identity("web-1"))
    for file in (path for path in keeper.directory.rglob("*") if path.is_file()):
        assert token.encode() not in file.read_bytes()
    assert keeper.directory.stat().st_mode & 0o777 == 0o700


def test_tokens_of_one_server_add_up_until_they_are_revoked_together(keeper: Keeper) -> None:
    first, second = (keeper.credentials.mint(identity("web-1")) for _ in range(2))
    other = keeper.credentials.mint(identity("web-2"))
    assert keeper.credentials.holder(first) == keeper.credentials.holder(second)
    assert keeper.credentials.holder(other) not in (None, keeper.credentials.holder(first))
    keeper.credentials.revoke("web-1")
    keeper.credentials.revoke("web-1")
    keeper.credentials.revoke("never-was")
    assert keeper.credentials.holder(first) is keeper.credentials.holder(second) is None
    assert keeper.credentials.holder(other) is not None


def test_threads_and_processes_may_mint_at_the_same_time(keeper: Keeper) -> None:
    other = Credentials(keeper.directory)  # as another process would have it
    keepers = [keeper.credentials, keeper.credentials, other]
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda n: keepers[n % 3].mint(identity(f"web-{n % 7}")), range(60)))
    other.close()
    holders = [keeper.credentials.holder(token) for token in tokens]
    assert None not in holders
    assert [len({holders[n] for n in range(60) if n % 7 == k}) for k in range(7)] == [1] * 7
    assert len(set(holders)) == 7


@pytest.mark.parametrize("token", ["", "guess", "x" * 100_000, "\udcff"])
def test_a_guess_lets_nobody_in(keeper: Keeper, token: str) -> None:
    keeper.credentials.mint(identity("web-1"))
    assert keeper.credentials.holder(token) is None


def test_a_name_is_never_given_to_another_server(keeper: Keeper) -> None:
    keeper.credentials.mint(identity("web-1", generation=1))
    with pytest.raises(Problem, match="web-1 is taken by generation 1 of web"):
        keeper.credentials.mint(identity("web-1", generation=2))
    keeper.credentials.mint(identity("web-3"))  # and the store is not left locked
