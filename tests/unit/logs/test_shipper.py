import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.ship import shipper
from bluestone.logs.ship.shipper import Journal, Lines, Progress, Receiver, Shipper, TooLarge, cursor_of


def line(number: int, message: str = "") -> bytes:
    return json.dumps({"MESSAGE": message or f"line {number}", "__CURSOR": f"s=1;i={number}"}).encode()


class Fake:
    """A receiver on a unix socket: gives the answers it is told to, then 200; keeps what it acknowledged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.statuses: list[int] = []
        self.stored: list[bytes] = []
        self.heads: list[bytes] = []
        self.limit = 1 << 30
        self.close_after_answer = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while head := b"".join(iter(stream.readline, b"\r\n")):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = stream.read(length)
                status = 413 if length > self.limit else self.statuses.pop(0) if self.statuses else 200
                if status == 0:
                    return
                self.heads.append(head)
                if status == 200:
                    self.stored += body.splitlines()
                connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status)
                if self.close_after_answer:
                    return


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    fake = Fake(tmp_path / "s")
    yield fake
    fake.close()


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(str(tmp_path / "cursor"))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are noted instead of slept."""
    pauses: list[float] = []
    monkeypatch.setattr("bluestone.logs.ship.shipper.time.sleep", pauses.append)
    return pauses


def connected(fake: Fake, progress: Progress, deadline: float = float("inf")) -> Shipper:
    return Shipper(Receiver(f"unix:{fake.path}", "t0ken"), progress, deadline)


def test_the_cursor_moves_once_the_lines_are_acknowledged(fake: Fake, progress: Progress, tmp_path: Path) -> None:
    connected(fake, progress).ship([line(1), line(2)])
    assert fake.stored == [line(1), line(2)]
    assert b"Authorization: Bearer t0ken\r\n" in fake.heads[0]
    again = Progress(str(tmp_path / "cursor"))
    assert (again.cursor, again.lines) == ("s=1;i=2", 2)


@pytest.mark.parametrize("status", [0, 401, 403, 408, 429, 500, 503, 507])
def test_lines_are_sent_again_until_they_are_acknowledged(
    fake: Fake, progress: Progress, status: int, no_pauses: list[float]
) -> None:
    fake.statuses = [status] * 12
    connected(fake, progress).ship([line(1)])
    assert fake.stored == [line(1)]
    ceiling = 30.0 if status in (401, 403) else 5.0
    assert len(no_pauses) == 12
    assert all(pause > 0 for pause in no_pauses)
    assert max(no_pauses) <= ceiling
    assert no_pauses[-1] >= ceiling / 2


def test_nothing_moves_before_the_acknowledgement(fake: Fake, progress: Progress, tmp_path: Path) -> None:
    fake.statuses = [503] * 1000
    with pytest.raises(TimeoutError):
        connected(fake, progress, deadline=time.monotonic() - 1).ship([line(1)])
    assert not (tmp_path / "cursor").exists()
    assert progress.cursor == ""


def test_a_batch_that_is_too_large_is_split_and_keeps_its_order(fake: Fake, progress: Progress) -> None:
    lines = [line(number) for number in range(10)]
    fake.limit = 3 * len(lines[0]) + 3
    connected(fake, progress).ship(lines)
    assert fake.stored == lines
    assert (progress.cursor, progress.lines) == ("s=1;i=9", 10)


def test_a_line_that_is_never_taken_stops_the_shipper_rather_than_being_dropped(fake: Fake, progress: Progress) -> None:
    fake.limit = 5
    with pytest.raises(SystemExit, match="takes no line of"):
        connected(fake, progress).ship([line(1)])
    assert progress.cursor == ""


def test_an_idle_connection_that_was_closed_is_no_trouble(
    fake: Fake, progress: Progress, capsys: pytest.CaptureFixture[str], no_pauses: list[float]
) -> None:
    fake.close_after_answer = True
    ship = connected(fake, progress).ship
    for number in range(3):
        ship([line(number)])
    assert fake.stored == [line(0), line(1), line(2)]
    assert no_pauses == []
    assert capsys.readouterr().err == ""


def test_trouble_is_told_once_and_so_is_its_end(
    fake: Fake, progress: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.statuses = [503, 503, 503]
    ship = connected(fake, progress).ship
    ship([line(1)])
    ship([line(2)])
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "shipper: the receiver answers 503; lines wait in the journal",
        "shipper: the receiver answers again",
    ]


def test_no_receiver_is_told_and_waited_for(progress: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = Shipper(Receiver("unix:/nonexistent/s", "t"), progress, time.monotonic())
    with pytest.raises(TimeoutError):
        nobody.ship([line(1)])
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


def test_goodbye_tells_the_number_of_lines_over_restarts(fake: Fake, progress: Progress, tmp_path: Path) -> None:
    connected(fake, progress).ship([line(1), line(2)])
    restarted = connected(fake, Progress(str(tmp_path / "cursor")))
    restarted.ship([line(3)])
    restarted.say_goodbye()
    goodbye = json.loads(fake.stored[-1])
    assert goodbye["_BLUESTONE_GOODBYE"] == "3"
    assert goodbye["__CURSOR"] == "s=1;i=3;goodbye=3"


def test_a_damaged_cursor_file_means_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "cursor").write_text("garbage")
    progress = Progress(str(tmp_path / "cursor"))
    assert (progress.cursor, progress.lines) == ("", 0)


def test_the_cursor_is_found_only_as_a_field() -> None:
    assert cursor_of(line(7)) == "s=1;i=7"
    quoted = json.dumps({"MESSAGE": 'x,"__CURSOR":"s=1;i=666"', "__CURSOR": "s=1;i=7"}).encode()
    assert cursor_of(quoted) == "s=1;i=7"
    assert cursor_of(b'{"__CURSOR" : "s=1;i=8" }') == "s=1;i=8"
    assert cursor_of(b"plain") == ""


@given(st.text())
def test_no_message_can_pretend_to_be_the_cursor(message: str) -> None:
    for fields in ({"MESSAGE": message, "__CURSOR": "mine"}, {"__CURSOR": "mine", "MESSAGE": message}):
        assert cursor_of(json.dumps(fields, separators=(",", ":")).encode()) == "mine"


@given(st.lists(st.binary(max_size=50).map(lambda data: data.replace(b"\n", b""))), st.integers(1, 20))
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader = Lines("")
    assert [line for at in range(0, len(stream), step) for line in reader.feed(stream[at : at + step])] == lines


@pytest.mark.parametrize("step", [1 << 16, 1 << 20, 1 << 24])
@pytest.mark.parametrize("size", [shipper.LONGEST - 60, shipper.LONGEST, 3 * shipper.LONGEST + 1])
def test_a_long_line_leaves_in_parts_that_join_to_the_line(step: int, size: int) -> None:
    long = json.dumps({"MESSAGE": 'ü"\\' * (size // 4), "__CURSOR": "s=1;i=2"}, ensure_ascii=False).encode()
    stream = line(1) + b"\n" + long + b"\n" + line(3) + b"\n"
    reader = Lines("")
    out = [part for at in range(0, len(stream), step) for part in reader.feed(stream[at : at + step])]
    assert (out[0], out[-1]) == (line(1), line(3))
    parts = [json.loads(part) for part in out[1:-1]]
    assert all(len(part) <= 2 * shipper.LONGEST + 200 for part in out)
    if len(long) <= shipper.LONGEST:
        assert out[1:-1] == [long]
    else:
        assert "".join(part["MESSAGE"] for part in parts).encode() == long
        assert [part["__CURSOR"] for part in parts] == [f"s=1;i=1;part={n + 1}" for n in range(len(parts))]
        assert [cursor_of(part) for part in out[1:-1]] == [""] * len(parts)


JOURNALCTL = """
import pathlib, sys, time
pathlib.Path(ASKED).write_text(" ".join(sys.argv[1:]))
FOLLOW = "--follow" in sys.argv
START = int(sys.argv[-1].rpartition("=")[2]) if "--cursor" in sys.argv[-1] else 0
def say(*numbers):
    for number in numbers:
        print('{"__CURSOR":"s=1;i=%d"}' % number)
    sys.stdout.flush()
"""


def journalctl(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a `journalctl` of our own first on the path; the file `asked` gets its arguments."""
    program = directory / "bin" / "journalctl"
    program.parent.mkdir()
    asked = str(directory / "asked")
    program.write_text(f"#!{sys.executable}\nASKED = {asked!r}\n{JOURNALCTL}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def drain(journal: Journal) -> list[bytes]:
    lines: list[bytes] = []
    while batch := journal.batch():
        assert len(batch) <= shipper.BATCH_LINES
        lines += batch
    journal.close()
    return lines


def test_the_journal_is_read_from_its_start_without_a_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journalctl(tmp_path, monkeypatch, "say(*range(12_000))")
    lines = drain(Journal("", follow=False))
    assert [cursor_of(line) for line in lines] == [f"s=1;i={n}" for n in range(12_000)]
    assert (tmp_path / "asked").read_text() == "--output=json --all --quiet --no-tail"


def test_lines_beyond_one_batch_do_not_wait_for_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journalctl(tmp_path, monkeypatch, "say(*range(6_000)); time.sleep(600)")
    journal = Journal("", follow=True)
    read = 0
    while read < 6_000:
        read += len(journal.batch())
    journal.close()
    assert read == 6_000


@pytest.mark.parametrize("first", [5, 6])
def test_the_line_at_the_cursor_is_left_out_if_the_journal_still_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    journalctl(tmp_path, monkeypatch, f"say(*range({first}, 8))")
    lines = drain(Journal("s=1;i=5", follow=True))
    assert [cursor_of(line) for line in lines] == ["s=1;i=6", "s=1;i=7"]
    assert (tmp_path / "asked").read_text().endswith("--follow --cursor=s=1;i=5")


def test_half_a_line_at_the_journals_end_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journalctl(tmp_path, monkeypatch, "say(1); print('{\"__CUR', end='')")
    assert drain(Journal("", follow=False)) == [b'{"__CURSOR":"s=1;i=1"}']


def test_sigterm_ships_the_rest_says_goodbye_and_ends(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real program: it follows four lines, and after SIGTERM finds two more in the journal."""
    journalctl(tmp_path, monkeypatch, "say(*range(START, 4 if FOLLOW else 6)); time.sleep(600 if FOLLOW else 0)")
    (tmp_path / "endpoint").write_text(f"unix:{fake.path}\n")
    (tmp_path / "token").write_text("t0ken\n")
    environment = os.environ | {"CREDENTIALS_DIRECTORY": str(tmp_path), "RUNTIME_DIRECTORY": str(tmp_path)}
    process = subprocess.Popen([sys.executable, shipper.__file__], env=environment)
    try:
        # Not before the cursor is saved: lines stored a moment earlier would rightly be sent again.
        wait_for(lambda: Progress(str(tmp_path / "cursor")).lines == 4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert [json.loads(line)["__CURSOR"] for line in fake.stored] == [
        *(f"s=1;i={n}" for n in range(6)),
        "s=1;i=5;goodbye=6",
    ]


def wait_for(condition: Callable[[], bool], patience: float = 20.0) -> None:
    bell = threading.Event()
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        bell.wait(0.02)


def test_too_large_is_an_answer_of_its_own(fake: Fake, progress: Progress) -> None:
    fake.statuses = [413]
    with pytest.raises(TooLarge):
        connected(fake, progress)._deliver(b"x\n")


def test_only_modules_of_python_minimal_are_imported() -> None:
    """Debian 12's python3-minimal has neither json nor http; what it has is in libpython3.11-minimal."""
    allowed = {
        "__future__",
        "collections",
        "os",
        "re",
        "select",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "sys",
    }
    source = Path(shipper.__file__).read_text()
    imported = [
        words[1].split(".")[0] for words in map(str.split, source.splitlines()) if words[:1] in (["import"], ["from"])
    ]
    assert set(imported) <= allowed | {"time"}
    assert "bluestone" not in imported
