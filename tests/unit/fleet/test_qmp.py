"""Talking to QEMU, played by a thread on a unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bluestone.fleet.providers.qemu.qmp import Monitor, QmpError

GREETING = b'{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": []}}\r\n'
DONE = b'{"return": {}}\r\n'


class FakeQemu:
    """Says its greeting, then one of its answers for each line that it is told; then it hangs up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.greeting = GREETING
        self.answers: list[bytes] = [DONE]
        self.told: list[dict[str, object]] = []
        self.silent = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.silent.set()
        self._listener.close()

    def heard(self) -> list[object]:
        """The commands that it was told, once the conversation has ended."""
        self._thread.join(20)
        return [command["execute"] for command in self.told]

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as stream, suppress(OSError):
            connection.sendall(self.greeting)
            for answer in self.answers:
                line = stream.readline()
                if not line:
                    return
                self.told.append(json.loads(line))
                if not answer:
                    self.silent.wait(20)
                connection.sendall(answer)


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[FakeQemu]:
    fake = FakeQemu(tmp_path / "monitor")
    yield fake
    fake.close()


def ask(qemu: FakeQemu, command: str = "query-status") -> object:
    with Monitor(qemu.path, 20) as monitor:
        return monitor.execute(command)


def test_a_command_is_carried_out_after_the_greeting(qemu: FakeQemu) -> None:
    qemu.answers.append(b'{"return": {"status": "running"}}\n')
    assert ask(qemu) == {"status": "running"}
    assert qemu.heard() == ["qmp_capabilities", "query-status"]


def test_events_in_between_are_passed_over(qemu: FakeQemu) -> None:
    event = b'{"event": "POWERDOWN", "timestamp": {"seconds": 1}}\n'
    qemu.answers.append(event + event + DONE + event)
    assert ask(qemu, "system_powerdown") == {}


def test_an_answer_may_come_in_pieces(qemu: FakeQemu) -> None:
    long = json.dumps({"return": "x" * 200_000}).encode()
    qemu.answers.append(long + b"\n")
    assert ask(qemu) == "x" * 200_000


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b'{"error": {"class": "CommandNotFound", "desc": "no such command"}}\n', "no such command"),
        (b"what?\n", "no message: b'what[?]'"),
        (b"[1]\n", "no message"),
        (b'{"return": 1}', "ended the conversation"),
    ],
)
def test_what_is_no_good_answer_is_a_problem(qemu: FakeQemu, answer: bytes, what: str) -> None:
    qemu.answers.append(answer)
    with pytest.raises(QmpError, match=what) as raised:
        ask(qemu)
    assert raised.value.mend


@pytest.mark.parametrize("greeting", [b'{"hello": 1}\n', b"SSH-2.0\n", b"\n"])
def test_another_program_is_not_taken_for_qemu(qemu: FakeQemu, greeting: bytes) -> None:
    qemu.greeting = greeting
    with pytest.raises(QmpError):
        Monitor(qemu.path, 20)


def test_an_answer_without_an_end_is_given_up(qemu: FakeQemu) -> None:
    qemu.answers.append(b"x" * (3 << 20))
    with pytest.raises(QmpError):
        ask(qemu)


def test_silence_has_an_end(qemu: FakeQemu) -> None:
    qemu.answers.append(b"")
    with pytest.raises(QmpError), Monitor(qemu.path, 0.2) as monitor:
        monitor.execute("query-status")


@pytest.mark.parametrize("left", [True, False])
def test_where_nobody_listens_it_is_said(tmp_path: Path, left: bool) -> None:
    if left:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "monitor"))
    with pytest.raises(QmpError, match="QEMU cannot be asked at"):
        Monitor(tmp_path / "monitor", 1)
