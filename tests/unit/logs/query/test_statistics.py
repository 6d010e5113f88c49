"""Counts over lines, compared with counting each; and what is around a line, and between generations."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import EPOCH, Query, micros
from bluestone.logs.query.language import parse_query
from bluestone.logs.query.patterns import Profile, compared, pattern_of
from bluestone.logs.query.statistics import count, histogram, top
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store import build as building
from bluestone.logs.store.seal import seal
from bluestone.logs.store.store import Batch, Store
from bluestone.model.record import Identity, Record

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
SERVERS = (("web-1", "web", 1), ("web-2", "web", 2), ("db-1", "db", 1))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Three servers, two hours; a third of the lines is not sealed, and some have a time from before."""
    directory = tmp_path_factory.mktemp("logs")
    chance = random.Random(5)
    store, credentials = Store(directory), Credentials(directory)
    size, building.BLOCK = building.BLOCK, 2000
    holders = [credentials.holder(credentials.mint(Identity("shop", *each, "sha256:1"))) for each in SERVERS]
    for part in range(3):
        for holder in holders:
            assert holder is not None
            lines = []
            for number in range(100):
                at = START + timedelta(minutes=40 * part - 5, seconds=number * 24 + chance.random())
                fields = {
                    "_id": f"{part}-{number}",
                    "@timestamp": at.isoformat(),
                    "message": f"request {chance.randrange(10**6)} {chance.choice(['ok', 'failed', 'slow'])}",
                    "level": chance.choice(["info", "info", "error", "warning"]),
                    "path": f"/p{chance.randrange(30)}",
                    "ms": chance.randrange(1000),
                }
                if number % 7 == 0:
                    del fields["path"]
                lines.append(parse_line(json.dumps(fields).encode(), 1))
            store.append([Batch(holder, tuple(lines))])
        if part < 2:
            store.turn()
            seal(directory)
    store.close()
    credentials.close()
    building.BLOCK = size
    archive = Archive(directory)
    yield archive
    archive.close()


QUERIES = [
    Query(),
    Query(group="web"),
    Query(server="db-1"),
    Query(where=parse_query("failed")),
    Query(where=parse_query("severity:error")),
    Query(where=parse_query("ms:>500 AND group:web")),
    Query(where=parse_query("NOT path:*")),
    Query(where=parse_query("NOT ok OR path:/p1")),
    Query(since=START + timedelta(minutes=3, seconds=20), until=START + timedelta(minutes=50)),
    Query(group="web", since=START + timedelta(minutes=17), where=parse_query("path:/p2*")),
    Query(where=parse_query("nowhere")),
]


def records(archive: Archive, query: Query) -> list[Record]:
    return list(archive.search(query))


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("step", [timedelta(minutes=5), timedelta(seconds=7)])
def test_a_histogram_is_what_counting_gives(archive: Archive, query: Query, step: timedelta) -> None:
    lines, errors = Counter[datetime](), Counter[datetime]()
    for record in records(archive, query):
        begin = EPOCH + micros(record.at) // int(step / timedelta(microseconds=1)) * step
        lines[begin] += 1
        errors[begin] += record.severity <= 3
    bars = histogram(archive, query, step).bars
    assert {bar.at: bar.lines for bar in bars} == lines
    assert {bar.at: bar.errors for bar in bars if bar.errors} == +errors
    assert count(archive, query) == lines.total()


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("field", ["path", "ms", "server", "absent"])
def test_top_values_are_what_counting_gives(archive: Archive, query: Query, field: str) -> None:
    counted: Counter[str] = Counter()
    for record in records(archive, query):
        own = {"server": record.identity.server, "severity": str(record.severity), "message": record.message}
        value = own.get(field, json.loads(record.original).get(field))
        if value is not None:
            counted[str(value)] += 1
    found = top(archive, query, field, 1000)
    assert (dict(found.values), found.distinct, found.lines) == (counted, len(counted), counted.total())
    assert list(found.values) == sorted(found.values, key=lambda item: (-item[1], item[0]))


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("limit", [7])
def test_the_nearest_lines_are_the_ends_of_all(archive: Archive, query: Query, limit: int) -> None:
    every = [record.cursor + record.identity.server for record in records(archive, query)]
    for newest in (True, False):
        asked = replace(query, limit=limit, newest=newest)
        found = [record.cursor + record.identity.server for record in archive.search(asked)]
        assert found == (every[-limit:] if newest else every[:limit])


def test_a_histogram_without_a_step_has_few_bars(archive: Archive) -> None:
    found = histogram(archive, Query())
    assert 2 <= len(found.bars) <= 61
    assert sum(bar.lines for bar in found.bars) == 900
    assert histogram(archive, Query(where=parse_query("nowhere"))).bars == ()


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("request 17 took 0.25 s", "request * took * s"),
        ("user 3f2504e0-4f89-11d3-9a0c-0305e82c3301 in", "user * in"),
        ('from 10.0.0.7 "GET /x" 200', "from * * *"),
        ("id deadbeef01 at 0x7ffe", "id * at *"),
        ("nothing varies\nsecond line 5", "nothing varies"),
        ("", ""),
    ],
)
def test_what_varies_is_no_part_of_a_pattern(message: str, pattern: str) -> None:
    assert pattern_of(message) == pattern


def test_generations_differ_by_what_only_one_says_and_by_what_comes_more_often() -> None:
    old, new = Profile(), Profile()
    for number in range(100):
        old.add(f"request {number}", 6)
        new.add(f"request {number}", 6)
    for number in range(9):
        new.add(f"pool {number} exhausted", 3)
        new.add(f"retry {number}", 4)
    old.add("retry 1", 4)
    old.add("cache warmed", 6)
    found = compared(old, new)
    assert [(change.pattern, change.new) for change in found.appeared] == [("pool * exhausted", 9)]
    assert [change.pattern for change in found.vanished] == ["cache warmed"]
    assert [change.pattern for change in found.grew] == ["retry *"]
    assert (old.error_rate, round(new.error_rate, 3)) == (0.0, 0.076)
