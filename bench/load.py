"""HTTP load that tells the truth: keep-alive connections, no retries, every failure counted by its kind.

    python -m bench.load http://127.0.0.1:8080/ --connections 8 --seconds 10

Each connection sends a request, reads the whole answer, and sends the next. A server may close a connection
after an answer, or while no request is under way; anything else that is not a complete, expected answer is a
failure. A live line goes to standard error, one line of JSON to standard output at the end (and after every
interval given by `--snapshots`). SIGINT and SIGTERM end the load; requests under way are still waited for.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import math
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import h11

MAX_SECONDS = 300.0
MAX_CONNECTIONS = 1000
ANSWER_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5.0
HEAD_ENDS = b"\r\n\r\n"
KNOWN = 64
"""Heads of answers that are remembered, at most."""

PAUSE = 0.01
"""Seconds before the next request on a connection whose last one failed: a dead server is not stormed."""


@dataclass(frozen=True)
class Report:
    """What came of the load. `sent` counts requests attempted, also those that found nobody to connect to.

    `by_kind` counts failures by kind. Latencies `p50`, `p99` and `max` are of complete answers, in seconds,
    from the request's first byte to the answer's last; `p50` and `p99` are exact to 2 %.
    """

    sent: int
    failed: int
    by_kind: dict[str, int]
    p50: float
    p99: float
    max: float
    seconds: float

    def line(self) -> str:
        """For people."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.by_kind.items()))
        return (
            f"{self.sent} requests in {self.seconds:.1f} s, {self.failed} failed"
            + (f" ({kinds})" if kinds else "")
            + f"; latency p50 {self.p50 * 1000:.2f} ms, p99 {self.p99 * 1000:.2f} ms,"
            + f" longest {self.max * 1000:.1f} ms"
        )


class Latencies:
    """A histogram in bounded memory: each bucket is 2 % wider than the one before, from 1 µs on."""

    GROWTH = math.log(1.02)
    BUCKETS = 1200
    """The last bucket holds everything from 2 * 10^4 s on."""

    def __init__(self) -> None:
        self._counts = [0] * self.BUCKETS
        self._total = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        bucket = int(math.log(max(seconds * 1e6, 1.0)) / self.GROWTH)
        self._counts[min(bucket, self.BUCKETS - 1)] += 1
        self._total += 1
        self.longest = max(self.longest, seconds)

    def quantile(self, share: float) -> float:
        """The latency in seconds that `share` of all stay within (the upper end of its bucket); 0 if none."""
        rank, seen = math.ceil(share * self._total), 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= rank:
                return min(math.exp((bucket + 1) * self.GROWTH) / 1e6, self.longest)
        return 0.0


@dataclass
class Tally:
    """Counts what happens."""

    sent: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    began: float = field(default_factory=time.monotonic)

    def report(self) -> Report:
        """The counts so far."""
        return Report(
            sent=self.sent,
            failed=self.by_kind.total(),
            by_kind=dict(self.by_kind),
            p50=self.latencies.quantile(0.50),
            p99=self.latencies.quantile(0.99),
            max=self.latencies.longest,
            seconds=time.monotonic() - self.began,
        )


@dataclass(frozen=True)
class Target:
    """Where the requests go, and what the answer's body must contain, if that matters.

    `known` are heads of answers that were taken for good, with the length of the body that they announce.
    """

    host: str
    port: int
    request: h11.Request
    expect: bytes | None = None
    known: dict[bytes, int] = field(default_factory=dict, compare=False)

    @cached_property
    def wire(self) -> bytes:
        """The request as it is sent."""
        http = h11.Connection(h11.CLIENT)
        return (http.send(self.request) or b"") + (http.send(h11.EndOfMessage()) or b"")

    @classmethod
    def parse(cls, url: str, expect: str | None = None) -> Target:
        """Raises `ValueError` for what is no http URL of this machine's loopback."""
        parts = urlsplit(url)
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
        try:
            loopback = ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if parts.scheme != "http" or not loopback:
            raise ValueError(f"{url!r}: only http://127.0.0.1:PORT/... and the like are loaded")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = h11.Request(method="GET", target=path, headers=[("Host", parts.netloc)])
        return cls(host, parts.port or 80, request, expect.encode() if expect else None)


class Failed(Exception):
    """A request without a complete, expected answer; the text is the kind of failure."""


class Connection(asyncio.Protocol):
    """One keep-alive connection and the one request under way on it. h11 judges what the server sends.

    A head that h11 took once is taken again, byte by byte the same, without it: it is told to the target, with the
    length of the body that it announces. Servers' heads differ once a second, by their date, so h11 sees each of them.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._http: h11.Connection | None = None
        """Who judges the answer that is under way; nobody yet, if nothing of it came."""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self._status = 0
        self._body = bytearray()
        self._began = False
        self._answered = False
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take a piece of the answer."""
        if self._answer is None or self._answer.done():
            self.close()  # Bytes that nobody asked for: the next request takes a new connection.
            return
        if not self._began and self._is_known(data):
            self._finish()
            return
        self._began = True
        self._feed(data)

    def eof_received(self) -> None:
        """The server sends no more: an answer without a length ends here, any other is cut."""
        self.open = False
        if self._answer and not self._answer.done():
            self._feed(b"")

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; a request under way has failed."""
        self.open = False
        if error is None:
            self._fail("answer cut short" if self._began else "connection closed before the answer")
        else:
            self._fail(f"connection reset {'during' if self._began else 'before'} the answer")

    async def exchange(self) -> None:
        """Send one request and read its answer. Raises `Failed`."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._status, self._began, self._answered = 0, False, False
        self._body.clear()
        self._http = None
        self._transport.write(self._target.wire)
        timer = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT, self._fail, "no answer in time")
        try:
            await self._answer
        finally:
            timer.cancel()
            if not self._is_done():
                self.close()
        self._judge()

    def _is_done(self) -> bool:
        """Whether the answer came to its end, nothing after it, and the connection stays."""
        if self._http is None:
            return self._answered
        return self._http.their_state is h11.DONE and not self._http.trailing_data[0]

    def close(self) -> None:
        """Give the connection up."""
        self.open = False
        if self._transport:
            self._transport.close()

    def _is_known(self, data: bytes) -> bool:
        """Whether this is a whole answer whose head h11 has taken before."""
        head, end, body = data.partition(HEAD_ENDS)
        if not end or self._target.known.get(head) != len(body):
            return False
        self._status, self._answered = 200, True
        if self._target.expect is not None:
            self._body += body
        return True

    def _remember(self, data: bytes, response: h11.Response) -> None:
        """Have a head known: of an answer that came whole, with a length, on a connection that stays."""
        head, _, body = data.partition(HEAD_ENDS)
        if response.status_code == 200 and dict(response.headers).get(b"content-length") == str(len(body)).encode():
            if len(self._target.known) >= KNOWN:
                self._target.known.clear()
            self._target.known[head] = len(body)

    def _feed(self, data: bytes) -> None:
        whole = self._http is None
        if self._http is None:
            self._http = h11.Connection(h11.CLIENT)
            self._http.send(self._target.request)
            self._http.send(h11.EndOfMessage())
        response: h11.Response | None = None
        try:
            self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Data):
                    if self._target.expect is not None:
                        self._body += event.data
                elif isinstance(event, h11.Response):
                    self._status, response = event.status_code, event
                elif isinstance(event, h11.EndOfMessage):
                    if whole and response and self._http.their_state is h11.DONE:
                        self._remember(data, response)
                    self._finish()
                    return
                elif not isinstance(event, h11.InformationalResponse):
                    return  # NEED_DATA, or the end of the connection, which connection_lost judges
        except h11.RemoteProtocolError:
            ended = not data
            if ended and not self._began:
                self._fail("connection closed before the answer")
            else:
                self._fail("answer cut short" if ended else "answer is no HTTP")

    def _judge(self) -> None:
        if self._status >= 500:
            raise Failed(f"status {self._status}")
        if self._status != 200:
            raise Failed(f"unexpected status {self._status}")
        if self._target.expect is not None and self._target.expect not in self._body:
            raise Failed("wrong body")

    def _finish(self) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(None)

    def _fail(self, kind: str) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(Failed(kind))


async def load(
    target: Target,
    tally: Tally,
    stop: asyncio.Event,
    *,
    connections: int = 8,
    seconds: float = MAX_SECONDS,
    rate: float | None = None,
) -> None:
    """Send requests over `connections` connections until `stop` is set or `seconds` are over.

    `rate` is requests per second over all connections; None is as fast as the answers come.
    """
    if not 1 <= connections <= MAX_CONNECTIONS:
        raise ValueError(f"from 1 to {MAX_CONNECTIONS} connections, not {connections}")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"above 0 and at most {MAX_SECONDS:g} s, not {seconds:g}")
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f"a rate above 0, not {rate:g}")
    timer = asyncio.get_running_loop().call_later(seconds, stop.set)
    gap = connections / rate if rate else 0.0
    try:
        await asyncio.gather(*(_client(target, tally, stop, gap, at / connections * gap) for at in range(connections)))
    finally:
        timer.cancel()


async def _client(target: Target, tally: Tally, stop: asyncio.Event, gap: float, delay: float) -> None:
    """Requests one after the other, `gap` seconds apart; one that failed is counted and not repeated."""
    connection: Connection | None = None
    due = time.monotonic() + delay
    while not await _stopped(stop, due - time.monotonic()):
        due = max(due + gap, time.monotonic() - gap)
        tally.sent += 1
        try:
            if connection is None or not connection.open:
                connection = await _connect(target)
            began = time.perf_counter()
            await connection.exchange()
            tally.latencies.add(time.perf_counter() - began)
        except Failed as failed:
            tally.by_kind[str(failed)] += 1
            due = max(due, time.monotonic() + PAUSE)
    if connection:
        connection.close()


async def _stopped(stop: asyncio.Event, wait: float) -> bool:
    if wait > 0 and not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)
    return stop.is_set()


async def _connect(target: Target) -> Connection:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, connection = await loop.create_connection(lambda: Connection(target), target.host, target.port)
            return connection
    except TimeoutError as error:
        raise Failed("connect timeout") from error
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "")
        kinds = {"ECONNREFUSED": "connect refused", "ECONNRESET": "connect reset"}
        raise Failed(kinds.get(name, f"connect failed ({name or error})")) from error


class Load:
    """The load in a process of its own, so that it does not share a core's time with its starter."""

    def __init__(
        self,
        url: str,
        *,
        connections: int = 8,
        seconds: float = MAX_SECONDS,
        rate: float | None = None,
        expect: str | None = None,
    ) -> None:
        Target.parse(url)
        command = [sys.executable, str(Path(__file__).resolve()), url, "--snapshots", "0.2", "--quiet"]
        command += ["--connections", str(connections), "--seconds", str(seconds)]
        command += ["--rate", str(rate)] if rate else []
        command += ["--expect", expect] if expect else []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._latest: Report | None = None
        self._first = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def snapshot(self) -> Report:
        """The counts, at most 0.2 s old. Raises `RuntimeError` if the process gave none."""
        self._first.wait(10)
        if self._latest is None:
            raise RuntimeError("the load generator did not start")
        return self._latest

    def stop(self) -> Report:
        """End the load and return the final counts. May be called again."""
        self._first.wait(10)  # Before it has begun it could not report.
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(ANSWER_TIMEOUT + CONNECT_TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
        return self.snapshot()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._latest = Report(**json.loads(line))
                self._first.set()
        self._first.set()


async def _run(arguments: argparse.Namespace, target: Target) -> Report:
    tally, stop = Tally(), asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    watchers: list[Callable[[], None]] = []
    if not arguments.quiet:
        watchers.append(lambda: print(f"\r{tally.report().line()}", end="", file=sys.stderr, flush=True))
    if arguments.snapshots:
        watchers.append(lambda: print(json.dumps(asdict(tally.report())), flush=True))
    watching = asyncio.create_task(_watch(watchers, arguments.snapshots or 1.0))
    await load(
        target,
        tally,
        stop,
        connections=arguments.connections,
        seconds=arguments.seconds,
        rate=arguments.rate,
    )
    watching.cancel()
    return tally.report()


async def _watch(watchers: Sequence[Callable[[], None]], interval: float) -> None:
    while True:
        for watcher in watchers:
            watcher()
        await asyncio.sleep(interval)


def main(words: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 0 even when requests failed: the report says it."""
    parser = argparse.ArgumentParser(prog="bench.load", description="HTTP load that counts every failure.")
    parser.add_argument("url", help="what to ask for, on a loopback address")
    parser.add_argument("--connections", type=int, default=8, metavar="N")
    parser.add_argument("--seconds", type=float, default=MAX_SECONDS, metavar="N", help="at most 300, the default")
    parser.add_argument(
        "--rate", type=float, metavar="R", help="requests per second; as fast as answers come if left out"
    )
    parser.add_argument("--expect", metavar="TEXT", help="what the body of every answer must contain")
    parser.add_argument("--snapshots", type=float, metavar="SECONDS", help="print counts as JSON this often")
    parser.add_argument("--quiet", action="store_true", help="no live line and no summary")
    arguments = parser.parse_args(words)
    try:
        report = asyncio.run(_run(arguments, Target.parse(arguments.url, arguments.expect)))
    except ValueError as error:
        parser.error(str(error))
    if not arguments.quiet:
        print(f"\r{report.line()}", file=sys.stderr)
    print(json.dumps(asdict(report)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
