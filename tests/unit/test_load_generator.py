"""The load generator tells the truth: each kind of failure, made on purpose, is counted as what it is."""

from __future__ import annotations

import asyncio
import json
import math
import socket
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import load as generator
from bench.load import Latencies, Load, Report, Tally, Target, load, main

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


def serving(*answers: bytes, reset: bool = False) -> Serve:
    """Give one answer per request, then close: softly, or with a reset."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
            if reset:
                handle = writer.get_extra_info("socket")
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    return serve


def loaded(serve: Serve, *, enough: int = 5, expect: str | None = None, connections: int = 1) -> Report:
    """The report of a short load on a server of one's own, ended once `enough` requests were sent."""

    async def run() -> Report:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        tally, stop = Tally(), asyncio.Event()
        target = Target.parse(f"http://127.0.0.1:{port}/", expect)
        task = asyncio.create_task(load(target, tally, stop, connections=connections, seconds=20))
        while tally.sent < enough and not task.done():
            await asyncio.sleep(0.001)
        stop.set()
        await task
        server.close()
        return tally.report()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("serve", "kind"),
    [
        (serving(b""), "connection closed before the answer"),
        (serving(GOOD[:10]), "answer cut short"),
        (serving(GOOD[:-1]), "answer cut short"),
        (serving(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), "answer cut short"),
        (serving(GOOD[:-1], reset=True), "connection reset during the answer"),
        (serving(b"", reset=True), "connection reset before the answer"),
        (serving(b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n"), "status 503"),
        (serving(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), "unexpected status 404"),
        (serving(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "answer is no HTTP"),
    ],
)
def test_each_failure_is_counted_by_its_kind(serve: Serve, kind: str) -> None:
    report = loaded(serve)
    assert report.by_kind == {kind: report.sent}
    assert report.failed == report.sent >= 5
    assert report.max == 0.0


def test_complete_answers_are_no_failures_and_are_timed() -> None:
    report = loaded(serving(*[GOOD] * 1000), enough=50, connections=3)
    assert (report.failed, report.by_kind) == (0, {})
    assert 0 < report.p50 <= report.p99 <= report.max


@pytest.mark.parametrize("answers", [(LAST,), (GOOD, GOOD, LAST)])
def test_an_announced_close_is_no_failure(answers: tuple[bytes, ...]) -> None:
    assert loaded(serving(*answers), enough=10).failed == 0


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    assert loaded(serving(b"HTTP/1.1 200 OK\r\n\r\nhello"), expect="hello").failed == 0


def test_a_close_that_crosses_a_request_is_a_failure() -> None:
    # The connection is kept alive by the answer, then closed when the next request is already there.
    report = loaded(serving(GOOD, b""), enough=9)
    assert report.by_kind == {"connection closed before the answer": report.sent // 2}


def test_a_wrong_body_is_a_failure_only_if_somebody_cares() -> None:
    assert loaded(serving(*[GOOD] * 50)).failed == 0
    assert loaded(serving(*[GOOD] * 50), expect="ell").failed == 0
    report = loaded(serving(*[GOOD] * 50), expect="bye")
    assert report.by_kind == {"wrong body": report.sent}


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (GOOD[:-1], "answer cut short"),
        (GOOD.replace(b"200", b"503"), "status 503"),
        (GOOD.replace(b"OK\r\n", b"OK\r\nX: y\r\n")[:-1], "answer cut short"),
    ],
)
def test_a_head_that_is_known_makes_no_answer_good(last: bytes, kind: str) -> None:
    report = loaded(serving(GOOD, GOOD, last), enough=9)
    assert report.by_kind == {kind: report.sent // 3}


def test_more_than_was_announced_ends_the_connection_and_is_no_failure() -> None:
    assert loaded(serving(GOOD, GOOD + b"more", GOOD), enough=9, expect="hello").failed == 0


def test_interim_answers_are_passed_over() -> None:
    assert loaded(serving(*[b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD] * 50)).failed == 0


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(generator, "ANSWER_TIMEOUT", 0.02)
    report = loaded(silent, enough=3)
    assert report.by_kind == {"no answer in time": report.sent}


def test_nobody_there_is_a_failure_of_each_request() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        tally = Tally()
        target = Target.parse(f"http://127.0.0.1:{unused.getsockname()[1]}/")
        asyncio.run(load(target, tally, asyncio.Event(), connections=2, seconds=0.1))
    report = tally.report()
    assert report.by_kind == {"connect refused": report.sent}
    assert report.sent >= 2


def test_a_rate_is_kept() -> None:
    tally = Tally()

    async def run() -> None:
        server = await asyncio.start_server(serving(*[GOOD] * 1000), "127.0.0.1", 0)
        target = Target.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await load(target, tally, asyncio.Event(), connections=4, seconds=0.5, rate=40)
        server.close()

    asyncio.run(run())
    assert 4 <= tally.sent <= 24
    assert not tally.by_kind


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1/", "http://example.org/", "https://127.0.0.1/", "127.0.0.1:80", "http://", "http://0.0.0.0/"],
)
def test_nothing_but_loopback_is_loaded(url: str) -> None:
    with pytest.raises(ValueError, match="only http"):
        Target.parse(url)
    with pytest.raises(ValueError, match="only http"):
        Load(url)


@pytest.mark.parametrize(
    "bounds",
    [{"connections": 0}, {"connections": 10**6}, {"seconds": 0}, {"seconds": 10**6}, {"rate": 0}, {"rate": -1}],
)
def test_a_load_without_bounds_is_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"from|above"):
        asyncio.run(load(Target.parse("http://127.0.0.1:1/"), Tally(), asyncio.Event(), **bounds))


def test_as_a_process_it_reports_live_and_stops_on_demand() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with Load(f"http://127.0.0.1:{unused.getsockname()[1]}/", connections=2) as running:
            assert running.snapshot().seconds >= 0
            report = running.stop()
            assert running.stop() == report
    assert report.failed == report.sent > 0
    assert report.by_kind == {"connect refused": report.sent}


def test_its_last_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert main([f"http://127.0.0.1:{unused.getsockname()[1]}/", "--seconds", "0.05"]) == 0
    shown = capsys.readouterr()
    report = Report(**json.loads(shown.out.splitlines()[-1]))
    assert report.failed == report.sent > 0
    assert f"{report.failed} connect refused" in shown.err


@given(st.lists(st.floats(1e-6, 1e4), min_size=1), st.floats(0.01, 1.0))
def test_quantiles_are_exact_to_two_percent(values: list[float], share: float) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    assert exact * 0.999 <= latencies.quantile(share) <= exact * 1.021
    assert latencies.longest == max(values)


def test_no_latency_is_zero() -> None:
    assert Latencies().quantile(0.99) == 0.0
