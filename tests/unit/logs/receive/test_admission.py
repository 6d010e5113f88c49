"""Compressed bodies, bombs, and each sender's share."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections import deque
from collections.abc import Sequence
from typing import cast

import pytest
from starlette.requests import Request

from bluestone.logs.ingest.door import Rejection
from bluestone.logs.ingest.lines import Line, parse_line
from bluestone.logs.receive import admission
from bluestone.logs.receive.admission import BURST, MAX_BODY, RATE, Door, Shares, answer
from bluestone.logs.receive.committer import GROUP, Committer
from bluestone.logs.store.store import Batch, Store


class Everybody:
    """A token is its holder's number; a certificate is known if it is `good`."""

    def holder(self, token: str) -> int | None:
        return int(token) if token.isdigit() else None

    def certified(self, certificate: bytes) -> int | None:
        return 7 if certificate == b"good" else None


class Nowhere:
    behind = False

    def overloaded(self) -> bool:
        return self.behind

    async def commit(self, server: int, lines: Sequence[Line], size: int, *, shipped: bool) -> None:
        """Keep nothing."""


def request(body: bytes, *, encoding: str = "identity", token: str = "1", certificate: bytes | None = None) -> Request:
    pieces = deque([body])

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": pieces.popleft() if pieces else b"", "more_body": bool(pieces)}

    head = {"authorization": f"Bearer {token}", "content-encoding": encoding, "content-length": str(len(body))}
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(name.encode(), value.encode()) for name, value in head.items()],
        **({} if certificate is None else {"client_certificate": certificate}),
    }
    return Request(scope, receive)


def door() -> Door:
    return Door(Everybody(), Nowhere())


async def admitted(door: Door, asked: Request) -> bytes:
    async with door.admit(asked) as one:
        return one.body


def refused(door: Door, asked: Request) -> int:
    with pytest.raises(Rejection) as raised:
        asyncio.run(admitted(door, asked))
    assert door.waiting() == 0
    return raised.value.status


def test_a_gzip_body_is_read_as_it_was() -> None:
    body = b"a line\n" * 10_000
    one = door()
    assert asyncio.run(admitted(one, request(gzip.compress(body), encoding="gzip"))) == body
    assert one.waiting() == 0


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    squeeze = zlib.compressobj(9, wbits=31)
    bomb = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(100)) + squeeze.flush()
    assert len(bomb) < 200_000
    assert refused(door(), request(bomb, encoding="gzip")) == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain",
        gzip.compress(b"x" * 999, mtime=0)[:-9],
        gzip.compress(b"x", mtime=0) + b"more",
        gzip.compress(b"x", mtime=0) * 2,
    ],
)
def test_what_is_no_whole_gzip_is_refused(body: bytes) -> None:
    assert refused(door(), request(body, encoding="gzip")) == 400


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_encodings_are_refused(encoding: str) -> None:
    assert refused(door(), request(b"x", encoding=encoding)) == 415


def test_what_is_uncompressed_counts_as_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_WAITING", 2 << 20)
    assert refused(door(), request(gzip.compress(bytes(3 << 20)), encoding="gzip")) == 429


def test_a_certificate_decides_before_a_token() -> None:
    async def server(asked: Request) -> int:
        async with door().admit(asked) as one:
            return one.server

    assert asyncio.run(server(request(b"x", token="1", certificate=b"good"))) == 7
    assert refused(door(), request(b"x", token="1", certificate=b"revoked")) == 401


def test_a_store_that_is_behind_asks_for_a_pause_before_a_body_is_read() -> None:
    sink = Nowhere()
    one = Door(Everybody(), sink)
    sink.behind = True
    assert refused(one, request(b"x")) == 429
    sink.behind = False
    assert asyncio.run(admitted(one, request(b"x"))) == b"x"


def test_a_share_fills_up_again() -> None:
    shares = Shares()
    assert shares.wait(1, 0.0) == 0
    shares.spend(1, BURST + 2 * RATE, 0.0)
    assert shares.wait(1, 0.0) == pytest.approx(2)
    assert shares.wait(2, 0.0) == 0
    assert shares.wait(1, 1.5) == pytest.approx(0.5)
    assert shares.wait(1, 2.0) == 0


def test_a_flooding_sender_is_told_to_wait_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "BURST", 100)
    monkeypatch.setattr(admission, "RATE", 1)
    one = door()
    assert asyncio.run(admitted(one, request(b"x" * 500)))
    with pytest.raises(Rejection) as raised:
        asyncio.run(admitted(one, request(b"x")))
    assert raised.value.status == 429
    assert 300 < int(answer(raised.value).headers["retry-after"]) <= 400
    assert asyncio.run(admitted(one, request(b"x", token="2"))) == b"x"


class Slow:
    """A store that notes whose lines come when."""

    def __init__(self) -> None:
        self.order: list[list[int]] = []

    def append(self, batches: Sequence[Batch]) -> None:
        self.order.append([batch.server for batch in batches])


def test_who_sends_much_waits_for_itself_alone() -> None:
    store = Slow()
    committer = Committer(cast(Store, store))
    line = parse_line(b"{}", 1)

    async def story() -> None:
        flood = [committer.commit(1, [line], GROUP, shipped=True) for _ in range(20)]
        others = [committer.commit(server, [line], 10, shipped=True) for server in (2, 3)]
        calls = [asyncio.create_task(call) for call in [*flood, *others]]
        await asyncio.sleep(0)
        work = asyncio.create_task(committer.run())
        await asyncio.gather(*calls)
        committer.stop()
        await work

    asyncio.run(story())
    assert store.order[0] == [1]
    assert store.order[1] == [2, 3, 1]
    assert [server for group in store.order for server in group].count(1) == 20


def test_the_largest_body_is_taken() -> None:
    body = bytes(MAX_BODY)
    assert asyncio.run(admitted(door(), request(gzip.compress(body, 1), encoding="gzip"))) == body
