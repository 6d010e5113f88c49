"""What is removed, what is held, what is merged and what is carried elsewhere."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query, micros
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store.carry import export, take_in
from bluestone.logs.store.database import connect
from bluestone.logs.store.keeping import Keeping, Kept, Part, get_rules, hold, holds, release, removals, set_rules
from bluestone.logs.store.seal import seal
from bluestone.logs.store.store import Batch, Store
from bluestone.logs.store.tidy import MANY, tidy
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def days_ago(days: float) -> int:
    return micros(NOW - timedelta(days=days))


SEGMENTS = [
    Kept("old", 100, [Part("web-1", "web", days_ago(20), 5), Part("db-1", "db", days_ago(15), 5)]),
    Kept("new", 100, [Part("web-2", "web", days_ago(3), 10)]),
]


@pytest.mark.parametrize(
    ("rules", "held", "gone"),
    [
        (Keeping(), (), {}),
        (Keeping(age=timedelta(days=10)), (), {"old": {"web-1", "db-1"}}),
        (Keeping(age=timedelta(days=17)), (), {"old": {"web-1"}}),
        (Keeping(age=timedelta(days=1), groups={"db": timedelta(days=99)}), (), {"old": {"web-1"}, "new": {"web-2"}}),
        (Keeping(groups={"db": timedelta(days=1)}), (), {"old": {"db-1"}}),
        (Keeping(age=timedelta(days=1)), ("web",), {"old": {"db-1"}}),
        (Keeping(age=timedelta(days=1)), ("web-1",), {"old": {"db-1"}, "new": {"web-2"}}),
        (Keeping(size=200), (), {}),
        (Keeping(size=150), (), {"old": {"web-1", "db-1"}}),
        (Keeping(size=10), ("db",), {"old": {"web-1"}, "new": {"web-2"}}),
    ],
)
def test_what_is_too_old_or_too_much_goes_unless_it_is_held(
    rules: Keeping, held: tuple[str, ...], gone: dict[str, set[str]]
) -> None:
    assert {each.file: set(each.servers) for each in removals(SEGMENTS, rules, held, NOW)} == gone


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=3), max_size=5),
    st.integers(0, 30) | st.none(),
    st.integers(0, 500) | st.none(),
    st.sets(st.sampled_from("abc")),
)
def test_nothing_held_and_nothing_young_enough_goes_by_age(
    ages: list[list[tuple[str, int]]], age: int | None, size: int | None, held: set[str]
) -> None:
    segments = [
        Kept(str(number), 100, [Part(name, "g", days_ago(days), 10) for name, days in dict(parts).items()])
        for number, parts in enumerate(ages)
    ]
    rules = Keeping(None if age is None else timedelta(days=age), size)
    gone = {each.file: each.servers for each in removals(segments, rules, held, NOW)}
    left = 0.0
    for segment in segments:
        for part in segment.parts:
            went = part.server in gone.get(segment.file, ())
            assert not (went and part.server in held)
            too_old = age is not None and part.newest < days_ago(age)
            assert went or not too_old or part.server in held
            assert not went or too_old or size is not None
            left += (
                0 if went or part.server in held else segment.size * part.lines / sum(p.lines for p in segment.parts)
            )
    assert size is None or held or left <= max(size, 0) + 1e-6


class World:
    """A store with servers of two groups."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = Store(directory)
        self.archive = Archive(directory)
        credentials = Credentials(directory)
        self.servers = {}
        for name, group in (("web-1", "web"), ("db-1", "db")):
            holder = credentials.holder(credentials.mint(Identity("shop", name, group, 1, "sha256:1")))
            assert holder is not None
            self.servers[name] = holder
        credentials.close()

    def write(self, server: str, message: str, days: float) -> None:
        fields = {"__CURSOR": message, "__REALTIME_TIMESTAMP": str(days_ago(days)), "MESSAGE": message}
        self.store.append([Batch(self.servers[server], (parse_line(json.dumps(fields).encode(), 1),))])

    def seal(self) -> None:
        self.store.turn()
        seal(self.directory)

    def messages(self) -> list[str]:
        return [record.message for record in self.archive.search(Query())]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "logs")
    yield world
    world.store.close()
    world.archive.close()


def test_only_the_lines_of_a_group_go_and_the_counts_stay(world: World) -> None:
    world.write("web-1", "w1", 20)
    world.write("db-1", "d1", 20)
    world.write("web-1", "w2", 1)
    world.seal()
    with connect(world.directory) as database:
        rules = Keeping(age=timedelta(days=365), groups={"web": timedelta(days=10)})
        set_rules(database, rules)
        assert get_rules(database) == rules
        hold(database, "web-1", "case 17", NOW)
        tidy(world.directory, NOW)
        assert world.messages() == ["w1", "d1", "w2"]
        assert [(each.target, each.reason) for each in holds(database)] == [("web-1", "case 17")]
        assert release(database, "web-1")
        assert not release(database, "web-1")
    tidy(world.directory, NOW)
    assert world.messages() == ["d1", "w2"]
    assert {writer.identity.server: writer.lines for writer in world.archive.writers()} == {"web-1": 2, "db-1": 1}
    tidy(world.directory, NOW + timedelta(days=400))
    assert world.messages() == []
    assert list((world.directory / "days").iterdir()) == []
    world.store.close()
    world.store = Store(world.directory)


def test_many_small_segments_become_one_and_nothing_changes(world: World) -> None:
    for number in range(MANY + 2):
        world.write("web-1", f"w{number:02}", 1)
        world.write("db-1", f"d{number:02}", 1)
        world.seal()
    before = sorted(world.messages())
    tidy(world.directory, NOW)
    assert len(list((world.directory / "days").rglob("*.seg"))) == 1
    assert sorted(world.messages()) == before
    world.write("web-1", "w03", 1)
    assert sorted(world.messages()) == before, "it is known still"


def test_what_is_exported_is_taken_in_elsewhere_once(world: World, tmp_path: Path) -> None:
    world.write("web-1", "w1", 2)
    world.write("db-1", "d1", 1)
    raw = [parse_line(content, days_ago(3)) for content in (b"plain", b"\xff\xfe", b"plain2")]
    world.store.append([Batch(world.servers["web-1"], tuple(raw))])
    world.seal()
    world.write("web-1", "w2", 0)
    for name in ("lines.zst", "lines.json"):
        file = tmp_path / name
        assert export(world.archive.search(Query()), file) == 6
        other = tmp_path / f"{name}-other"
        assert take_in(other, file) == (6, 0)
        assert take_in(other, file) == (0, 6)
        archive = Archive(other)
        there = list(archive.search(Query()))
        assert [(r.at, r.original, r.identity) for r in there] == [
            (r.at, r.original, r.identity) for r in world.archive.search(Query())
        ]
        archive.close()
    assert take_in(world.directory, tmp_path / "lines.json") == (0, 6), "also what is not sealed yet"


def test_what_was_never_exported_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b'{"a": 1}\n')
    with pytest.raises(Problem, match="line 1 of"):
        take_in(world.directory, tmp_path / "other")
