from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestone.logs.ship.shipper.connection import Receiver
from bluestone.logs.ship.shipper.delivery import Delivery
from bluestone.logs.ship.shipper.main import goodbye
from bluestone.logs.ship.shipper.queue import Position, Queue
from shipping import Fake, line


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    fake = Fake(tmp_path / "s")
    yield fake
    fake.close()


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(str(tmp_path / "queue"))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time goes on by what is slept, and nothing is slept."""
    slept: list[float] = []
    begin = time.monotonic()
    monkeypatch.setattr("bluestone.logs.ship.shipper.delivery.time.sleep", slept.append)
    monkeypatch.setattr("bluestone.logs.ship.shipper.delivery.time.monotonic", lambda: begin + sum(slept))
    return slept


def ship(queue: Queue, *lines: bytes) -> None:
    at = queue.position.sequence + len(lines)
    queue.add(Position(at, f"s=1;i={at}"), b"".join(line + b"\n" for line in lines))


def connected(fake: Fake, queue: Queue, deadline: float = float("inf")) -> Delivery:
    return Delivery(Receiver(f"unix:{fake.path}", "t0ken"), queue, deadline)


def test_progress_is_made_once_the_lines_are_acknowledged(fake: Fake, queue: Queue, tmp_path: Path) -> None:
    ship(queue, line(1), line(2))
    connected(fake, queue).finish()
    assert fake.stored == [line(1), line(2)]
    assert b"Authorization: Bearer t0ken\r\n" in fake.heads[0]
    again = Queue(str(tmp_path / "queue"))
    assert (again.acknowledged.cursor, again.acknowledged.sequence, again.oldest) == ("s=1;i=2", 2, None)


@pytest.mark.parametrize("status", [0, 401, 403, 408, 429, 500, 503, 507])
def test_lines_are_sent_again_until_they_are_acknowledged(
    fake: Fake, queue: Queue, status: int, pauses: list[float]
) -> None:
    fake.statuses = [status] * 12
    ship(queue, line(1))
    connected(fake, queue).finish()
    assert fake.stored == [line(1)]
    ceiling = 30.0 if status in (401, 403) else 5.0
    assert len(pauses) == 12
    assert all(0 < pause <= ceiling for pause in pauses)
    assert pauses[-1] >= ceiling / 2


def test_nothing_moves_before_the_acknowledgement(fake: Fake, queue: Queue, tmp_path: Path) -> None:
    fake.statuses = [503] * 1000
    ship(queue, line(1))
    with pytest.raises(TimeoutError):
        connected(fake, queue, deadline=time.monotonic() + 20).finish()
    again = Queue(str(tmp_path / "queue"))
    assert again.acknowledged.sequence == 0
    assert again.oldest
    assert again.oldest.body() == line(1) + b"\n"


def test_a_batch_that_is_too_large_is_split_and_keeps_its_order(fake: Fake, queue: Queue) -> None:
    lines = [line(number) for number in range(10)]
    fake.limit = 3 * len(lines[0]) + 3
    ship(queue, *lines)
    connected(fake, queue).finish()
    assert fake.stored == lines
    assert queue.acknowledged.sequence == 10


def test_a_line_that_is_never_taken_stops_the_shipper_rather_than_being_dropped(fake: Fake, queue: Queue) -> None:
    fake.limit = 5
    ship(queue, line(1))
    with pytest.raises(SystemExit, match="takes no line of"):
        connected(fake, queue).finish()
    assert queue.acknowledged.sequence == 0


def test_an_idle_connection_that_was_closed_is_no_trouble(
    fake: Fake, queue: Queue, capsys: pytest.CaptureFixture[str], pauses: list[float]
) -> None:
    fake.close_after_answer = True
    delivery = connected(fake, queue)
    for number in range(3):
        ship(queue, line(number))
        delivery.finish()
    assert fake.stored == [line(0), line(1), line(2)]
    assert pauses == []
    assert capsys.readouterr().err == ""


def test_trouble_is_told_once_and_so_is_its_end(fake: Fake, queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    fake.statuses = [503, 503, 503]
    delivery = connected(fake, queue)
    for number in range(2):
        ship(queue, line(number))
        delivery.finish()
    assert capsys.readouterr().err.splitlines() == [
        "shipper: the receiver answers 503; lines wait",
        "shipper: the receiver answers again",
    ]


def test_no_receiver_is_told_and_waited_for(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    ship(queue, line(1))
    with pytest.raises(TimeoutError):
        Delivery(Receiver("unix:/nonexistent/s", "t"), queue, time.monotonic()).finish()
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    "endpoint", ["", "http://127.0.0.1:80", "unix:relative", "https://host", "https://:80", "ftp:x"]
)
def test_an_endpoint_that_cannot_be_used_is_refused(endpoint: str) -> None:
    with pytest.raises(SystemExit, match="say unix:/PATH or https://HOST:PORT"):
        Receiver(endpoint, "t")


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 999 X\r\n\r\n", b"HTTP/1.1 2", b"x" * (3 << 20)])
def test_an_answer_that_is_not_http_is_no_acknowledgement(tmp_path: Path, answer: bytes) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    def babble() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            try:
                connection.sendall(answer)
            except OSError:
                return

    thread = threading.Thread(target=babble, daemon=True)
    thread.start()
    with listener, pytest.raises(ConnectionError):
        Receiver(f"unix:{tmp_path}/s", "t").post(b"x", 10)
    thread.join(10)


def test_goodbye_tells_the_number_of_the_last_line(fake: Fake, queue: Queue) -> None:
    connected(fake, queue).say(goodbye(Position(3, "s=1;i=3")))
    said = json.loads(fake.stored[-1])
    assert (said["_BLUESTONE_GOODBYE"], said["__CURSOR"]) == ("3", "s=1;i=3;goodbye=3")


def test_what_crosses_a_network_is_compressed() -> None:
    far, near = Receiver("https://127.0.0.1:1"), Receiver("unix:/s")
    lines = b"a line\n" * 1000
    assert len(far.pack(lines)) < 100
    assert far.unpack(far.pack(lines)) == lines
    assert near.pack(lines) == near.unpack(lines) == lines


def test_over_a_network_that_breaks_lines_go_in_ever_smaller_parts(fake: Fake, queue: Queue) -> None:
    """What got through stays so: a batch that never passes at once does so in parts."""
    lines = [line(number, "x" * 1000) for number in range(100)]
    fake.breaks_beyond = 30_000
    ship(queue, *lines)
    connected(fake, queue).finish()
    assert fake.stored == lines
    assert fake.broken > 3
