import asyncio
import errno
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from bluestone.logs.ingest.lines import Line
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive import admission
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.listening import listen_loopback, listen_unix
from bluestone.logs.receive.receiver import application, hold
from bluestone.logs.store.store import Batch, Store
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

Message = MutableMapping[str, Any]
Answer = tuple[int, dict[str, str], dict[str, Any]]


async def request(
    app: Starlette,
    body: Sequence[bytes] = (),
    *,
    method: str = "POST",
    path: str = "/v1/lines",
    stall: bool = False,
    **headers: str,
) -> Answer:
    """One request straight into the application, as uvicorn hands it over; `stall` never ends the body."""
    pieces = iter(body)
    sent: list[Message] = []

    async def receive() -> Message:
        piece = next(pieces, None)
        if piece is None and stall:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()],
    }
    await app(scope, receive, send)
    head = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], head, json.loads(content) if content.startswith(b"{") else {}


def run(app: Starlette, story: Callable[[], Awaitable[None]]) -> None:
    async def with_lifespan() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(story(), 60)

    asyncio.run(with_lifespan())


@pytest.fixture
def token(tmp_path: Path) -> str:
    credentials = Credentials(tmp_path)
    token = credentials.mint(Identity("shop", "web-1", "web", 3, "sha256:ab"))
    credentials.close()
    return token


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path)
    yield archive
    archive.close()


def line(number: int, **fields: str) -> bytes:
    return json.dumps({"__CURSOR": f"c{number}", "MESSAGE": f"line {number}", **fields}).encode() + b"\n"


def test_lines_are_stamped_with_the_identity_of_the_token(tmp_path: Path, token: str, archive: Archive) -> None:
    async def story() -> None:
        forged = line(1, server="db-1", group="db", _BLUESTONE_SERVER="db-1")
        status, _, answer = await request(app, [forged], authorization=f"Bearer {token}")
        assert (status, answer) == (200, {"status": "stored"})

    app = application(tmp_path)
    run(app, story)
    (record,) = archive.search(Query())
    assert record.identity == Identity("shop", "web-1", "web", 3, "sha256:ab")


def test_what_is_acknowledged_can_be_read_at_once(tmp_path: Path, token: str, archive: Archive) -> None:
    async def story() -> None:
        for number in range(5):
            await request(app, [line(number)], authorization=f"Bearer {token}")
            assert len(list(archive.search(Query()))) == number + 1

    app = application(tmp_path)
    run(app, story)


def test_requests_that_wait_together_are_committed_together(
    tmp_path: Path, token: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    append = Store.append

    def counted(self: Store, batches: Any) -> None:
        batches = list(batches)
        groups.append(len(batches))
        append(self, batches)

    async def story() -> None:
        requests = [request(app, [line(n)], authorization=f"Bearer {token}", content_length="60") for n in range(100)]
        assert {status for status, _, _ in await asyncio.gather(*requests)} == {200}

    monkeypatch.setattr(Store, "append", counted)
    app = application(tmp_path)
    run(app, story)
    assert len(list(archive.search(Query()))) == sum(groups) == 100
    assert len(groups) < 50


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", "Basic {token}", "{token}"])
def test_without_a_valid_token_nothing_is_stored(tmp_path: Path, token: str, archive: Archive, given: str) -> None:
    async def story() -> None:
        status, _, answer = await request(app, [line(1)], authorization=given.format(token=token))
        assert status == 401
        assert "token" in answer["error"]

    app = application(tmp_path)
    run(app, story)
    assert list(archive.search(Query())) == []


def test_a_revoked_token_is_refused_from_the_next_request_on(tmp_path: Path, token: str) -> None:
    async def story() -> None:
        assert (await request(app, [line(1)], authorization=f"Bearer {token}"))[0] == 200
        Credentials(tmp_path).revoke("web-1")
        assert (await request(app, [line(2)], authorization=f"Bearer {token}"))[0] == 401

    app = application(tmp_path)
    run(app, story)


def test_nothing_can_be_read_with_a_token(tmp_path: Path, token: str) -> None:
    async def story() -> None:
        for method, path in [
            ("GET", "/v1/lines"),
            ("GET", "/v1/lines/web-1"),
            ("GET", "/_search"),
            ("POST", "/logs/_search"),
            ("GET", "/_bulk"),
            ("PUT", "/v1/lines"),
        ]:
            status, _, answer = await request(app, method=method, path=path, authorization=f"Bearer {token}")
            assert status in (404, 405)
            assert answer == {}

    app = application(tmp_path)
    run(app, story)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_refused_and_later_ones_are_taken(
    tmp_path: Path, token: str, archive: Archive, announced: bool
) -> None:
    async def story() -> None:
        length = str(admission.MAX_BODY + 1) if announced else "unknown"
        pieces = [b"x" * (1 << 20)] * 9
        status, _, answer = await request(app, pieces, authorization=f"Bearer {token}", content_length=length)
        assert status == 413
        assert "fewer" in answer["mend"]
        assert (await request(app, [line(1)], authorization=f"Bearer {token}"))[0] == 200

    app = application(tmp_path)
    run(app, story)
    assert len(list(archive.search(Query()))) == 1


def test_one_server_cannot_take_the_place_of_the_others(tmp_path: Path, token: str) -> None:
    async def story() -> None:
        hog = asyncio.create_task(
            request(app, stall=True, authorization=f"Bearer {token}", content_length=str(admission.MAX_BODY))
        )
        await asyncio.sleep(0)
        status, head, _ = await request(app, [line(1)], authorization=f"Bearer {token}")
        assert (status, head["retry-after"]) == (429, "1")
        assert (await request(app, [line(1)], authorization=f"Bearer {other}", content_length="60"))[0] == 200
        hog.cancel()

    other = Credentials(tmp_path).mint(Identity("shop", "web-2", "web", 3, "sha256:ab"))
    app = application(tmp_path)
    run(app, story)


def test_memory_is_bounded_over_all_servers(tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        status, _, _ = await request(app, [line(1)], authorization=f"Bearer {token}", content_length="60")
        assert status == 429

    monkeypatch.setattr(admission, "MAX_WAITING", 59)
    app = application(tmp_path)
    run(app, story)


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        assert (await request(app, stall=True, authorization=f"Bearer {token}"))[0] == 408
        assert (await request(app, [line(1)], authorization=f"Bearer {token}"))[0] == 200

    monkeypatch.setattr(admission, "BODY_TIMEOUT", 0.01)
    app = application(tmp_path)
    run(app, story)


def test_a_compressed_body_is_refused_rather_than_stored_as_noise(tmp_path: Path, token: str) -> None:
    async def story() -> None:
        status, _, _ = await request(app, [b"\x1f\x8b"], authorization=f"Bearer {token}", content_encoding="br")
        assert status == 415

    app = application(tmp_path)
    run(app, story)


def test_a_full_disk_acknowledges_nothing_shows_in_health_and_heals(
    tmp_path: Path, token: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Store, batches: object) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")

    async def story() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "append", full)
            status, head, answer = await request(app, [line(1)], authorization=f"Bearer {token}")
            assert (status, head["retry-after"]) == (507, "1")
            assert "full" in answer["error"]
            assert (await request(app, method="GET", path="/health"))[0] == 503
        assert list(archive.search(Query())) == []
        assert (await request(app, [line(1)], authorization=f"Bearer {token}"))[0] == 200
        assert (await request(app, method="GET", path="/health"))[0] == 200

    app = application(tmp_path)
    run(app, story)
    assert len(list(archive.search(Query()))) == 1


def test_an_empty_body_is_no_error(tmp_path: Path, token: str) -> None:
    async def story() -> None:
        assert (await request(app, authorization=f"Bearer {token}"))[0] == 200

    app = application(tmp_path)
    run(app, story)


def test_a_store_has_one_receiver(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(Problem, match=r"another receiver \(process \d+\)"):
        hold(tmp_path)
    hold(tmp_path).close()


def test_the_socket_of_a_dead_receiver_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ingest.sock"
    listen_unix(path, 0o666).close()
    with listen_unix(path, 0o666), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert path.stat().st_mode & 0o777 == 0o666
    assert [file.name for file in tmp_path.iterdir()] == ["ingest.sock"]


def test_a_directory_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot listen on"):
        listen_unix(tmp_path / "missing" / "ingest.sock", 0o666)


@pytest.mark.parametrize("address", ["0.0.0.0:80", "[::]:80", "example.org:80", "127.0.0.1", "127.0.0.1:x", ":80"])
def test_tokens_do_not_cross_a_network_in_the_clear(address: str) -> None:
    with pytest.raises(Problem, match="not a loopback address"):
        listen_loopback(address)


def test_loopback_is_listened_on_when_asked_for() -> None:
    with listen_loopback("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()):
        pass


def test_a_batch_is_written_under_its_servers_id_alone() -> None:
    assert Batch._fields == ("server", "lines", "shipped")
    assert "server" not in Line.__struct_fields__
