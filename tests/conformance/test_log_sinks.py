"""What every sink keeps to: a line that it took is there, once, however often it is given; trouble is told apart.

A third party's adapter is tested by adding how it is opened, and how what it holds is read.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from uvicorn import Server

from bluestone.logs.forward import Forwarder, Reached, Source, name_of, read_reached
from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.query.entry import Entry
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.listening import configuration
from bluestone.logs.receive.receiver import application
from bluestone.logs.sink import Given, Sink, Unavailable
from bluestone.logs.sinks.elasticsearch import Elasticsearch
from bluestone.logs.store.seal import seal
from bluestone.logs.store.store import Batch, Store
from bluestone.model.record import Identity

WEB = Identity("shop", "web-1", "web", 3, "sha256:ab")
AT = 1_790_000_000_000_000


class Case(NamedTuple):
    """A sink, and what tells the messages that it holds."""

    sink: Sink
    messages: Callable[[], list[str]]
    break_it: Callable[[], None]


@pytest.fixture(params=["elasticsearch"])
def case(tmp_path: Path) -> Iterator[Case]:
    """The receiver of another bluestone, over HTTP."""
    store = tmp_path / "far"
    with closing(Credentials(store)) as credentials:
        key = tmp_path / "key"
        key.write_text(credentials.mint(Identity("far", "forwarder", "sources", 0, "")) + "\n")
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(configuration(application(store)))
    app = server.config.app

    async def serve() -> None:
        async with app.router.lifespan_context(app):  # type: ignore[union-attr]
            await server.serve([listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()

    def messages() -> list[str]:
        with closing(Archive(store)) as archive:
            return [record.message for record in archive.search(Query())]

    sink = Elasticsearch(f"http://127.0.0.1:{listener.getsockname()[1]}", "lines", str(key))
    yield Case(sink, messages, key.unlink)
    sink.close()
    server.should_exit = True
    thread.join(20)
    listener.close()


def given(number: int, original: bytes = b"") -> Given:
    original = original or b'{"message":"line %d"}' % number
    return Given(name_of(Entry(WEB, AT + number, original)), WEB, AT + number, original)


def test_what_it_took_is_there_once_however_often_it_was_given(case: Case) -> None:
    assert case.sink.take([given(1), given(2)]) == 0
    assert case.sink.take([given(2), given(3), given(1)]) == 0
    assert sorted(case.messages()) == ["line 1", "line 2", "line 3"]


def test_lines_of_any_kind_are_taken(case: Case) -> None:
    odd = (
        b"plain text",
        b'{"message":null,"a":{"b":[1,{"c":2}]},"level":7}',
        b"\xff\x00 bytes",
        b'{"took":1.5,"ok":true}',
    )
    assert case.sink.take([given(number, line) for number, line in enumerate(odd, 1)]) == 0
    assert len(case.messages()) == len(odd)
    assert "plain text" in case.messages()


def test_nothing_is_no_trouble(case: Case) -> None:
    assert case.sink.take([]) == 0


def test_one_that_cannot_be_reached_or_lets_nobody_in_is_tried_again_later(case: Case) -> None:
    case.break_it()
    with pytest.raises(Unavailable):
        case.sink.take([given(1)])
    assert case.messages() == []


def test_a_whole_store_goes_on_sealed_or_not_and_is_there_once_after_a_restart(case: Case, tmp_path: Path) -> None:
    here = tmp_path / "here"
    with closing(Credentials(here)) as credentials:
        credentials.mint(WEB)
        number = credentials.server("web-1")
        assert number is not None
    store = Store(here)

    def write(first: int, count: int) -> None:
        lines = [parse_line(b'{"message":"line %d","_id":"%d"}' % (n, n), AT + n) for n in range(first, first + count)]
        store.append([Batch(number, tuple(lines))])

    write(0, 5)
    store.turn()
    seal(here)
    write(5, 5)
    for _ in range(3):
        with closing(Source(here)) as source:
            Forwarder(case.sink, source, tmp_path / "reached.json").go_on()
    write(10, 5)
    (tmp_path / "reached.json").write_bytes(b"")  # not even that survived: all is given again
    with closing(Source(here)) as source:
        forwarder = Forwarder(case.sink, source, tmp_path / "reached.json")
        forwarder.go_on()
        assert forwarder.reached.lines == 15
        write(15, 1)
        forwarder.go_on()
    store.close()
    assert sorted(case.messages()) == sorted(f"line {n}" for n in range(16))
    assert read_reached(tmp_path / "reached.json").trouble == ""


def test_a_sink_that_is_away_holds_nothing_up_and_gets_all_of_it_later(case: Case, tmp_path: Path) -> None:
    class Away:
        def take(self, lines: object) -> int:
            raise Unavailable("away")

        def close(self) -> None:
            pass

    def arriving(reached: Reached) -> Iterator[tuple[list[Given], int, int]]:
        if reached.number == 0:
            yield [given(n) for n in range(3)], 1, 100

    file = tmp_path / "reached.json"
    forwarder = Forwarder(Away(), arriving, file)
    waits = [forwarder.go_on() for _ in range(9)]
    assert waits[-1] > waits[0]
    assert max(waits) <= 60
    assert read_reached(file) == Reached(trouble="away")
    later = Forwarder(case.sink, arriving, file)
    later.go_on()
    reached = read_reached(file)
    assert reached == Reached(1, 100, lines=3, taken_at=reached.taken_at)
    assert reached.taken_at > 0
    assert sorted(case.messages()) == ["line 0", "line 1", "line 2"]
