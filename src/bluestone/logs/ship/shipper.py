"""Ships this server's journal to bluestone, line by line, until the server's end.

This file is copied into every image as /usr/lib/bluestone/shipper and runs alone: it uses only what Debian's
python3-minimal brings (no json, no http), and passes the journal's JSON lines through without parsing them.

The journal is the queue. The cursor moves, durably, only after the receiver has acknowledged a batch, so
whatever dies in between, the same lines are sent again; the receiver knows a line by its cursor and keeps it
once.

Environment (set by bluestone-shipper.service): CREDENTIALS_DIRECTORY with `endpoint`, `token` and `ca`,
which is empty or missing where the receiver's authority is one that the system knows; RUNTIME_DIRECTORY for the cursor.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

BATCH_BYTES = 1 << 20
BATCH_LINES = 5_000
LINGER = 0.02
"""Seconds that a batch waits for more lines. journald itself tells its readers up to 0.25 s late."""

LONGEST = 1 << 20
"""A longer line leaves in parts of so many bytes, so that memory stays bounded whatever a program logs."""

ANSWER_TIMEOUT = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
REFUSED_PAUSE = 30.0
"""Seconds between tries when the token is refused: that heals only if somebody mends it."""

FAREWELL = 5.0
"""Seconds that the shipper may take, once asked to stop, to ship what the journal still holds."""

CURSOR = re.compile(rb'"__CURSOR" ?: ?"([^"\\]*)"')
"""A quote inside a JSON string is escaped, so only the field itself can match."""


ENDPOINT = re.compile(r"unix:(?P<path>/.+)|https://(?P<host>[^/:\[\]]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})/?")


class Stopped(Exception):
    """The service manager wants the shipper to end."""


class TooLarge(Exception):
    """The receiver takes no batch of this size."""


class Progress:
    """How far the receiver has acknowledged: the last line's cursor, and the lines sent since boot."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with open(path) as file:  # noqa: PTH123 - pathlib costs 1 MB of memory
                lines, _, self.cursor = file.read().strip().partition(" ")
            self.lines = int(lines)
        except (FileNotFoundError, ValueError):
            self.lines, self.cursor = 0, ""

    def save(self, cursor: str, lines: int) -> None:
        """Move on, so that a crash leaves the old position or the new one."""
        draft = f"{self._path}.new"
        with open(draft, "w") as file:  # noqa: PTH123
            file.write(f"{lines} {cursor}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._path)  # noqa: PTH105
        self.lines, self.cursor = lines, cursor


class Lines:
    """Cuts a stream into lines; a line beyond `LONGEST` comes as parts, each a JSON line of its own.

    A part's cursor is that of the line before it and the part's number, so it is the same when sent again.
    """

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        self._rest = b""
        self._part = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete with `data`, without their line ends."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield from self._finish(line)
        while len(self._rest) > LONGEST:
            yield self._cut()

    def _finish(self, line: bytes) -> Iterator[bytes]:
        if not self._part and len(line) <= LONGEST:
            if found := CURSOR.search(line):
                self.cursor = found[1].decode()
            yield line
            return
        rest, self._rest = self._rest, line
        while self._rest:
            yield self._cut()
        self._rest, self._part = rest, 0

    def _cut(self) -> bytes:
        end = min(LONGEST, len(self._rest))
        while end < len(self._rest) and self._rest[end] & 0xC0 == 0x80:  # not inside a UTF-8 character
            end -= 1
        piece, self._rest = self._rest[:end], self._rest[end:]
        self._part += 1
        text = piece.replace(b"\\", rb"\\").replace(b'"', rb"\"")
        head = f'{{"__CURSOR":"{self.cursor};part={self._part}","_BLUESTONE_PART":"{self._part}","MESSAGE":"'
        return head.encode() + text + b'"}'


class Journal:
    """`journalctl`, read from just after a cursor; to the journal's end, or following it."""

    def __init__(self, cursor: str, *, follow: bool) -> None:
        # --cursor and not --after-cursor: when that line is gone, the latter skips one that was never sent.
        command = ["journalctl", "--output=json", "--all", "--quiet", "--no-tail"]
        command += ["--follow"] if follow else []
        command += [f"--cursor={cursor}"] if cursor else []
        self._sent = cursor
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pipesize=BATCH_BYTES)
        assert self._child.stdout
        self._pipe = self._child.stdout.fileno()
        self._lines = Lines(cursor)
        self._queue: list[bytes] = []

    def batch(self) -> list[bytes]:
        """The next lines, waiting for the first as long as it takes; none when the journal has ended."""
        deadline = time.monotonic() if self._queue else None  # lines that were left over do not wait
        size = sum(map(len, self._queue))
        while len(self._queue) < BATCH_LINES and size < BATCH_BYTES:
            patience = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._pipe], [], [], patience)[0]:
                break
            data = os.read(self._pipe, BATCH_BYTES)
            if not data:
                break
            fresh = [line for line in self._lines.feed(data) if line]
            size += sum(map(len, fresh))
            self._queue += fresh
            self._forget_sent()
            if self._queue and deadline is None:
                deadline = time.monotonic() + LINGER
        taken, self._queue = self._queue[:BATCH_LINES], self._queue[BATCH_LINES:]
        return taken

    def close(self) -> None:
        """End journalctl."""
        self._child.kill()
        self._child.communicate()

    def _forget_sent(self) -> None:
        if self._sent and self._queue:
            if cursor_of(self._queue[0]) == self._sent:
                del self._queue[0]
            self._sent = ""


def cursor_of(line: bytes) -> str:
    """The journal's name for a line; empty for a part of one, which the journal does not know."""
    found = CURSOR.search(line)
    return found[1].decode() if found and b";part=" not in found[1] else ""


class Receiver:
    """The other end: a connection that is kept, and made again when it breaks."""

    def __init__(self, endpoint: str, token: str, authorities: str | None = None) -> None:
        self._where = ENDPOINT.fullmatch(endpoint)
        if not self._where:
            raise SystemExit(f"shipper: cannot ship to {endpoint!r}: say unix:/PATH or https://HOST:PORT")
        self._authorities = authorities
        self._head = (
            f"POST /v1/lines HTTP/1.1\r\nHost: {self._where['host'] or 'bluestone'}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\nContent-Length: "
        ).encode()
        self._socket: socket.socket | None = None

    def post(self, body: bytes, timeout: float) -> int:
        """Send one batch and return the answer's HTTP status; `timeout` in seconds. Raises `OSError`."""
        try:
            kept = self._socket is not None
            try:
                return self._exchange(body, timeout)
            except ConnectionError:
                if not kept:
                    raise
                self.close()  # the receiver may close an idle connection at any time: try once on a new one
                return self._exchange(body, timeout)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _exchange(self, body: bytes, timeout: float) -> int:
        connection = self._socket = self._socket or self._connect(timeout)
        connection.settimeout(timeout)
        connection.sendall(self._head + b"%d\r\n\r\n" % len(body))
        connection.sendall(body)
        return self._answer(connection)

    def _connect(self, timeout: float) -> socket.socket:
        assert self._where
        if path := self._where["path"]:
            plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            plain.settimeout(timeout)
            plain.connect(path)
            return plain
        import ssl  # not above: it costs 5 MB of memory, and most servers ship through a unix socket

        host = self._where["host"].strip("[]")
        plain = socket.create_connection((host, int(self._where["port"])), timeout=timeout)
        return ssl.create_default_context(cafile=self._authorities).wrap_socket(plain, server_hostname=host)

    def _answer(self, connection: socket.socket) -> int:
        """Read one answer (RFC 9112) to its end. The receiver always states a Content-Length."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _receive(connection, answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] ([1-5]\d\d)", head)
        length = re.search(rb"\r\ncontent-length: *(\d{1,6})", head, re.IGNORECASE)
        if not status:
            raise ConnectionError("the receiver does not speak HTTP")
        while length and len(body) < int(length[1]):
            body += _receive(connection, body)
        if not length or re.search(rb"\r\nconnection: *close", head, re.IGNORECASE):
            self.close()
        return int(status[1])


def _receive(connection: socket.socket, so_far: bytes) -> bytes:
    data = connection.recv(65536)
    if not data or len(so_far) > 1 << 20:
        raise ConnectionError("the receiver closed the connection before its answer")
    return data


class Shipper:
    """Sends batches until they are acknowledged, and remembers how far it came."""

    def __init__(self, receiver: Receiver, progress: Progress, deadline: float = float("inf")) -> None:
        self._receiver = receiver
        self._progress = progress
        self._deadline = deadline
        self._unsaved = 0
        self._trouble = ""

    def ship(self, lines: list[bytes]) -> None:
        """Deliver lines, in their order. Raises `TimeoutError` after the deadline."""
        try:
            self._deliver(b"\n".join(lines) + b"\n")
        except TooLarge:
            if len(lines) == 1:
                raise SystemExit(f"shipper: the receiver takes no line of {len(lines[0])} bytes") from None
            middle = len(lines) // 2
            self.ship(lines[:middle])
            self.ship(lines[middle:])
            return
        self._unsaved += len(lines)
        if cursor := cursor_of(lines[-1]):
            self._progress.save(cursor, self._progress.lines + self._unsaved)
            self._unsaved = 0

    def say_goodbye(self) -> None:
        """The last record: how many lines there were. No program can forge a field with an underscore."""
        last, lines = self._progress.cursor, self._progress.lines + self._unsaved
        micros = time.time_ns() // 1000
        record = (
            f'{{"__CURSOR":"{last};goodbye={lines}","__REALTIME_TIMESTAMP":"{micros}",'
            f'"_BLUESTONE_GOODBYE":"{lines}","PRIORITY":"6","_SYSTEMD_UNIT":"bluestone-shipper.service",'
            f'"MESSAGE":"goodbye after {lines} lines"}}\n'
        )
        self._deliver(record.encode())

    def _deliver(self, body: bytes) -> None:
        pause = FIRST_PAUSE
        while True:
            status = self._try(body)
            if status == 200:
                self._say("")
                return
            if status == 413:
                raise TooLarge
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the journal's last lines were not acknowledged in time")
            pause = min(pause * 2, REFUSED_PAUSE if status in (401, 403) else LONGEST_PAUSE)
            time.sleep(min(pause * jitter(), left))

    def _try(self, body: bytes) -> int:
        """The answer's status, or 0 for none."""
        left = self._deadline - time.monotonic()
        try:
            status = self._receiver.post(body, max(0.1, min(ANSWER_TIMEOUT, left)))
        except OSError as error:
            self._say(f"the receiver cannot be reached ({error}); lines wait in the journal")
            return 0
        if status != 200:
            self._say(f"the receiver answers {status}; lines wait in the journal")
        return status

    def _say(self, trouble: str) -> None:
        """Say a new trouble, or its end, once: what is said here is itself shipped."""
        if trouble != self._trouble:
            print(f"shipper: {trouble or 'the receiver answers again'}", file=sys.stderr, flush=True)
            self._trouble = trouble


def jitter() -> float:
    """Evenly between 0.5 and 1, so that a fleet does not come back all at once."""
    return 0.5 + os.urandom(1)[0] / 510  # the module `random` loads OpenSSL, 4 MB of memory


def follow(shipper: Shipper, progress: Progress) -> None:
    """Ship lines as they are written, for ever."""
    while True:
        journal = Journal(progress.cursor, follow=True)
        try:
            while lines := journal.batch():
                shipper.ship(lines)
        finally:
            journal.close()
        time.sleep(1.0)  # journalctl ended by itself: start another, but not in a tight loop


def finish(shipper: Shipper, progress: Progress) -> None:
    """Ship what the journal holds now, then say goodbye. Raises `TimeoutError`."""
    journal = Journal(progress.cursor, follow=False)
    try:
        while lines := journal.batch():
            shipper.ship(lines)
    finally:
        journal.close()
    shipper.say_goodbye()


def stop(number: int, _: object) -> None:
    """Leave `follow` from wherever it is: it may die anywhere, so it may be left anywhere."""
    signal.signal(number, signal.SIG_IGN)
    raise Stopped


def credential(name: str) -> str:
    """What the service manager handed over under this name."""
    with open(f"{os.environ['CREDENTIALS_DIRECTORY']}/{name}") as file:  # noqa: PTH123
        return file.read().strip()


def main() -> None:
    """Ship until SIGTERM, then the rest, then end within `FAREWELL` seconds."""
    authorities = f"{os.environ['CREDENTIALS_DIRECTORY']}/ca"
    known = os.path.exists(authorities) and os.path.getsize(authorities)  # noqa: PTH110, PTH202
    receiver = Receiver(credential("endpoint"), credential("token"), authorities if known else None)
    state = f"{os.environ['RUNTIME_DIRECTORY']}/cursor"
    try:
        signal.signal(signal.SIGTERM, stop)
        progress = Progress(state)
        follow(Shipper(receiver, progress), progress)
    except Stopped:
        receiver.close()
    try:
        progress = Progress(state)
        finish(Shipper(receiver, progress, time.monotonic() + FAREWELL), progress)
    except TimeoutError as late:
        raise SystemExit(f"shipper: {late}") from late


if __name__ == "__main__":
    main()
