"""What happens to lines when the disk, or the power, is not what it should be."""

import errno
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.query.language import parse_query
from bluestone.logs.query.statistics import count
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store import seal as sealing
from bluestone.logs.store import wal
from bluestone.logs.store.block import Block
from bluestone.logs.store.check import check
from bluestone.logs.store.columns import MOST
from bluestone.logs.store.joining import joined
from bluestone.logs.store.parts import Damaged
from bluestone.logs.store.seal import seal
from bluestone.logs.store.segment import Segment
from bluestone.logs.store.store import Batch, Store
from bluestone.model.record import Identity

DAY = 86_400_000_000
START = 1_795_000_000_000_000


def line(number: int, at: int | None = None) -> bytes:
    fields = {
        "__CURSOR": f"c{number}",
        "__REALTIME_TIMESTAMP": str(START + number if at is None else at),
        "MESSAGE": f"line {number}",
    }
    return json.dumps(fields).encode()


class World:
    """A store with one server."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = Store(directory)
        credentials = Credentials(directory)
        holder = credentials.holder(credentials.mint(Identity("shop", "web-1", "web", 1, "sha256:1")))
        credentials.close()
        assert holder is not None
        self.server = holder
        self.archive = Archive(directory)

    def write(self, *lines: bytes) -> int:
        return self.store.append([Batch(self.server, tuple(parse_line(each, 1) for each in lines))])[0]

    def seal(self) -> None:
        self.store.turn()
        seal(self.directory)

    def numbers(self, query: str = "") -> list[int]:
        found = self.archive.search(Query(where=parse_query(query)))
        return [int(record.message.split()[1]) for record in found]

    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.directory)

    def segments(self) -> list[Path]:
        return sorted((self.directory / "days").rglob("*.seg"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()
    world.archive.close()


@pytest.mark.parametrize("cut", [1, 10, 25])
def test_half_a_frame_at_the_end_was_never_acknowledged_and_goes(world: World, cut: int) -> None:
    world.write(line(0))
    path = wal.path_of(world.directory / "wal", 1)
    whole = path.stat().st_size
    world.write(line(1))
    os.truncate(path, path.stat().st_size - cut)
    assert world.numbers() == [0]
    world.reopen()
    assert path.stat().st_size == whole
    assert world.write(line(1)) == 1
    assert world.numbers() == [0, 1]
    assert check(world.directory).damages == ()


@pytest.mark.parametrize("place", [0, 5, 30, -3])
def test_a_damaged_frame_is_reported_and_those_around_it_are_served(world: World, place: int) -> None:
    world.write(line(0))
    path = wal.path_of(world.directory / "wal", 1)
    begin = path.stat().st_size
    world.write(line(1))
    end = path.stat().st_size
    world.write(line(2))
    content = bytearray(path.read_bytes())
    content[begin + place if place >= 0 else end + place] ^= 0xFF
    path.write_bytes(content)
    assert world.numbers() == [0, 2]
    (damage,) = check(world.directory).damages
    assert "do not fit" in damage.what
    world.reopen()
    world.seal()
    assert world.numbers() == [0, 2]
    (damage,) = check(world.directory).damages
    assert damage.file == "wal/0000000001.wal.damaged"
    assert world.write(line(1), line(2)) == 1, "what was lost can be sent again"


def test_a_damaged_segment_is_reported_and_the_rest_is_served(world: World) -> None:
    for day in range(3):
        world.write(*(line(day * 10 + number, START + day * DAY + number) for number in range(10)))
    world.seal()
    middle = world.segments()[1]
    healthy = middle.read_bytes()
    parts = Segment(middle).footer.parts
    for name in ("blocks", "times", "words", "totals.lines", "values.MESSAGE"):
        if name not in parts:
            continue
        content = bytearray(healthy)
        content[parts[name].offset + parts[name].length // 2] ^= 0xFF
        middle.write_bytes(content)
        (damage,) = check(world.directory).damages
        assert (damage.file, damage.lines) == (f"days/{middle.parent.name}/{middle.name}", 10)
        assert name in damage.what
        archive = Archive(world.directory)
        found = {int(record.message.split()[1]) for record in archive.search(Query(where=parse_query("line")))}
        assert {*range(10), *range(20, 30)} <= found
        assert count(archive, Query()) in (20, 30)
        archive.close()


@pytest.mark.parametrize("damage", ["empty", "short", "footer", "missing"])
def test_a_segment_that_cannot_be_opened_is_reported_and_the_rest_is_served(world: World, damage: str) -> None:
    for day in range(2):
        world.write(line(day, START + day * DAY))
    world.seal()
    first = world.segments()[0]
    content = first.read_bytes()
    if damage == "missing":
        first.unlink()
    else:
        cut = {"empty": b"", "short": content[:20], "footer": content[:-30] + b"\0" * 30}
        first.write_bytes(cut[damage])
        with pytest.raises(Damaged):
            Segment(first)
    assert world.numbers() == [1]
    assert world.archive.damaged == [f"{first.parent.name}/{first.name}"]
    assert len(check(world.directory).damages) == 1
    world.reopen()
    assert world.write(line(0, START)) == 1, "it may be sent again"
    assert world.numbers() == [0, 1]


@pytest.mark.parametrize("step", ["build", "enter", "unlink"])
def test_sealing_may_die_at_any_step(world: World, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    world.write(*(line(number, START + number % 3 * DAY) for number in range(9)))
    world.store.turn()

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if step == "unlink":
            patched.setattr(Path, "unlink", die)
        else:
            patched.setattr(sealing, step, die)
        with pytest.raises(KeyboardInterrupt):
            seal(world.directory)
    assert sorted(world.numbers()) == list(range(9))
    world.reopen()
    assert world.write(*(line(number, START + number % 3 * DAY) for number in range(10))) == 1
    seal(world.directory)
    assert sorted(world.numbers()) == list(range(10))
    assert world.archive.writers()[0].lines == 10


def test_a_full_disk_leaves_no_half_segment_and_the_lines_where_they_were(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(*map(line, range(5)))
    world.store.turn()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="space"):
            seal(world.directory)
    assert list((world.directory / "days").rglob("*.*")) == []
    assert world.numbers() == list(range(5))
    seal(world.directory)
    assert world.numbers() == list(range(5))


def test_a_clock_gone_wild_makes_few_files_and_loses_nothing(world: World) -> None:
    world.write(*(line(number, 1 + number * 30 * DAY) for number in range(300)))
    world.seal()
    assert len(world.segments()) <= sealing.MOST_DAYS
    assert sorted(world.numbers()) == list(range(300))


def test_ever_more_names_of_fields_make_no_more_columns_and_are_found_all_the_same(world: World) -> None:
    own = {number: {f"f{number}_{place}": f"v{number}" for place in range(10)} for number in range(60)}
    world.write(*(json.dumps({**json.loads(line(number)), **own[number]}).encode() for number in own))
    world.seal()
    (segment,) = map(Segment, world.segments())
    assert len(segment.footer.columns) <= MOST < 10 * len(own)
    assert world.numbers("f3_4:v3") == [3]
    assert world.numbers("f59_9:v59") == [59]
    assert world.numbers("f59_9:v3") == []


def test_lines_of_an_earlier_time_are_known_again_after_they_were_sealed(world: World) -> None:
    world.write(*map(line, range(50)))
    world.seal()
    world.write(line(7), line(1000), line(50, START - DAY))
    world.seal()
    world.reopen()
    assert world.write(*map(line, range(50)), line(1000), line(50, START - DAY), line(51)) == 1


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=5))
def test_a_block_gives_its_lines_again(lines: list[bytes]) -> None:
    assert Block(joined(lines), len(lines), plain=False).lines == lines


def test_a_number_of_the_log_is_never_used_again(world: World) -> None:
    world.write(line(0))
    world.seal()
    world.store.close()
    for path in (world.directory / "wal").iterdir():
        path.unlink()
    world.store = Store(world.directory)
    world.write(line(1))
    world.seal()
    assert world.numbers() == [0, 1]


def test_lines_of_a_store_of_the_first_format_are_moved(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "lines.sqlite3")
    database.executescript(
        """
        CREATE TABLE servers (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, project TEXT NOT NULL,
            "group" TEXT NOT NULL, generation INTEGER NOT NULL, image TEXT NOT NULL, lines INTEGER NOT NULL DEFAULT 0,
            goodbye INTEGER, dictionary BLOB);
        CREATE TABLE tokens (hash BLOB PRIMARY KEY, server INTEGER NOT NULL REFERENCES servers) WITHOUT ROWID;
        CREATE TABLE lines (id INTEGER PRIMARY KEY AUTOINCREMENT, server INTEGER NOT NULL, at INTEGER NOT NULL,
            key INTEGER NOT NULL, severity INTEGER NOT NULL, unit TEXT NOT NULL, message TEXT NOT NULL,
            original BLOB NOT NULL);
        CREATE UNIQUE INDEX lines_once ON lines (server, at, key);
        PRAGMA user_version = 1;
        """
    )
    dictionary = line(0)
    for server in (1, 2):
        values = (server, f"web-{server}", 2, dictionary)
        database.execute("INSERT INTO servers VALUES (?, ?, 'p', 'web', 1, 'i', ?, NULL, ?)", values)
    for number in range(4):
        squeeze = zlib.compressobj(6, zdict=dictionary)
        packed = squeeze.compress(line(number)) + squeeze.flush()
        insert = "INSERT INTO lines (server, at, key, severity, unit, message, original) VALUES (?, ?, ?, 6, '', '', ?)"
        database.execute(insert, (1 + number % 2, START + number, number, packed))
    database.commit()
    database.close()
    archive = Archive(tmp_path)
    Store(tmp_path).close()
    assert [record.message for record in archive.search(Query())] == [f"line {number}" for number in range(4)]
    assert [writer.lines for writer in archive.writers()] == [2, 2]
    Store(tmp_path).close()
    assert len(list(archive.search(Query()))) == 4
    archive.close()
