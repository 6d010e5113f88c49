"""What every query back end keeps to: exact answers, in the order of time, whoever keeps the lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.logs.backend import Backend
from bluestone.logs.backends.embedded import Embedded, opened
from bluestone.logs.backends.federated import Federated
from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.query.asked import Query
from bluestone.logs.query.language import parse_query
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store.seal import seal
from bluestone.logs.store.store import Batch, Store
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
LINES = [(f"web-{n % 3}", n, f"/{'abc'[n * n % 3]}") for n in range(120)]
"""Server, number and path; a line a minute."""


def fill(store: Path, lines: Sequence[tuple[str, int, str]], *, sealed: bool) -> None:
    with closing(Credentials(store)) as credentials, closing(Store(store)) as writer:
        for server, number, path in lines:
            credentials.mint(Identity("shop", server, "web", 1, "sha256:ab"))
            holder = credentials.server(server)
            assert holder is not None
            said = {
                "_id": str(number),
                "message": f"request {number}",
                "path": path,
                "level": "error" if number % 10 == 0 else "info",
            }
            at = int((BEGIN + timedelta(minutes=number)).timestamp() * 1e6)
            writer.append([Batch(holder, (parse_line(json.dumps(said).encode(), at),))])
        writer.turn()
    if sealed:
        seal(store)


def stored(place: Path, count: int) -> list[Embedded]:
    """All lines in a store, or dealt out to several."""
    for number in range(count):
        fill(place / str(number), [line for line in LINES if line[1] * 7 % count == number], sealed=number != 1)
    return [opened(place / str(number)) for number in range(count)]


@pytest.fixture(params=["embedded", "federated"], scope="module")
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """All lines in a store, or dealt out to three."""
    place = tmp_path_factory.mktemp("stores")
    stores = stored(place, 1 if request.param == "embedded" else 3)
    found: Backend = stores[0] if len(stores) == 1 else Federated(stores)
    yield found
    found.close()


def messages(backend: Backend, query: Query) -> list[str]:
    return [record.message for record in backend.search(query)]


def test_lines_come_in_the_order_of_time(backend: Backend) -> None:
    assert messages(backend, Query()) == [f"request {n}" for _, n, _ in LINES]
    assert messages(backend, Query(server="web-1")) == [f"request {n}" for server, n, _ in LINES if server == "web-1"]


@pytest.mark.parametrize("limit", [0, 1, 7, 500])
def test_a_limit_keeps_the_newest_or_the_oldest(backend: Backend, limit: int) -> None:
    whole = [f"request {n}" for _, n, _ in LINES]
    assert messages(backend, Query(limit=limit)) == (whole[-limit:] if limit else [])
    assert messages(backend, Query(limit=limit, newest=False)) == whole[:limit]


def test_values_are_counted_exactly(backend: Backend) -> None:
    counted = Counter(path for _, _, path in LINES)
    found = backend.top(Query(), "path", 2)
    assert found.values == tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:2])
    assert (found.distinct, found.lines) == (len(counted), len(LINES))
    errors = backend.top(Query(where=parse_query("severity:3")), "path", 10)
    assert dict(errors.values) == Counter(path for _, n, path in LINES if n % 10 == 0)


@pytest.mark.parametrize("step", [timedelta(minutes=30), timedelta(seconds=90), None])
def test_bars_add_up(backend: Backend, step: timedelta | None) -> None:
    found = backend.histogram(Query(), step)
    assert sum(bar.lines for bar in found.bars) == len(LINES)
    assert sum(bar.errors for bar in found.bars) == sum(n % 10 == 0 for _, n, _ in LINES)
    assert len({bar.at for bar in found.bars}) == len(found.bars)
    if step is None:
        assert 1 < len(found.bars) <= 60
    else:
        assert found.step == step


def test_a_range_of_time_is_half_open(backend: Backend) -> None:
    query = Query(since=BEGIN + timedelta(minutes=5), until=BEGIN + timedelta(minutes=8))
    assert messages(backend, query) == ["request 5", "request 6", "request 7"]


def test_all_writers_are_known(backend: Backend) -> None:
    assert {writer.identity.server for writer in backend.writers()} == {"web-0", "web-1", "web-2"}
    assert sum(writer.lines for writer in backend.writers()) == len(LINES)


def test_following_begins_with_what_is_there(backend: Backend) -> None:
    found = {record.message for record in backend.follow(Query(), lambda: True)}
    assert found == {f"request {n}" for _, n, _ in LINES}


@pytest.mark.parametrize("count", [1, 2])
def test_what_comes_to_any_store_is_followed_and_comes_once(tmp_path: Path, count: int) -> None:
    stores = stored(tmp_path, count)
    backend: Backend = stores[0] if count == 1 else Federated(stores)
    with closing(backend), closing(backend.arrivals(Query())) as tail:
        assert tail.fresh(1)[0] == []
        rounds = iter(range(3))

        def done() -> bool:
            number = 200 + 2 * next(rounds)
            for store in range(count):
                fill(tmp_path / str(store), [("web-9", number + store, "/new")], sealed=False)
            return number == 204

        followed = backend.follow(Query(limit=1), done)
        assert next(followed).message == "request 119"
        fill(tmp_path / "0", [("web-9", 190, "/new")], sealed=False)
        later = [190, *(number + store for number in (200, 202, 204) for store in range(count))]
        assert [record.message for record in followed] == [f"request {number}" for number in later]
        found, position = tail.fresh(2)
        assert [record.message for record in found] == [f"request {number}" for number in later]
        with closing(backend.arrivals(Query(), position)) as again:
            assert again.fresh(3)[0] == []
            fill(tmp_path / str(count - 1), [("web-9", 300, "/new")], sealed=False)
            assert [record.message for record in again.fresh(4)[0]] == ["request 300"]


def test_a_pattern_that_is_none_is_a_problem(backend: Backend) -> None:
    with pytest.raises(Problem):
        messages(backend, Query(grep="/(/"))


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no log store"):
        opened(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    with closing(Embedded(tmp_path / "own")) as own:
        assert list(own.search(Query())) == []
