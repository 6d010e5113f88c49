"""Ships until SIGTERM, then the rest, then says goodbye.

Environment (set by bluestone-shipper.service): CREDENTIALS_DIRECTORY with `endpoint`, `token`, `certificate`, `ca` and
`rules`, each empty where there is none; RUNTIME_DIRECTORY for the queue.

A line's number (`_BLUESTONE_SEQUENCE`) is given once, when it is put into the queue: what the receiver never got is a
gap in the numbers, and what it got twice has the same.
"""

from __future__ import annotations

import os
import select
import signal
import time

from . import json
from .connection import Receiver
from .delivery import Delivery
from .files import Files
from .journal import Journal
from .masks import Masks
from .queue import Position, Queue
from .traces import Traces

BATCH_BYTES = 512 << 10
LINGER = 0.02
"""Seconds that a batch waits for more lines. journald itself tells its readers up to 0.25 s late."""

BACKLOG_LINGER = 5.0
"""The same while the receiver does not answer: then few large batches are better than many small ones."""

FAREWELL = 5.0
"""Seconds that the shipper may take, once asked to stop, to ship what the journal still holds."""


class Stopped(Exception):
    """The service manager wants the shipper to end."""


class Shipper:
    """From the sources through the queue to the receiver."""

    def __init__(
        self, receiver: Receiver, state: str, rules: Rules, deadline: float = float("inf"), *, follow: bool = True
    ) -> None:
        self._receiver = receiver
        self._queue = Queue(state)
        self._delivery = Delivery(receiver, self._queue, deadline)
        self._masks = Masks(rules.masks)
        self._traces = Traces()
        self._files = Files(rules.files, self._queue.position.files, self._masks, new=self._queue.new)
        if self._queue.new:
            self._queue.save(Position(files=self._files.positions()))
        self._follow = follow
        self._journal = self._open()
        self._due = float("inf")
        """When what was read is put into the queue."""

    def follow(self) -> None:
        """Ship lines as they are written, for ever."""
        while True:
            self._step()

    def finish(self) -> None:
        """Ship what there is now, then say goodbye. Raises `TimeoutError`."""
        while not self._journal.ended:
            self._take(self._journal.read())
            if self._traces.size >= BATCH_BYTES:
                self._store()
                self._delivery.finish()  # nothing more is written: no reason to let it grow
        while lines := self._files.read(time.monotonic(), last=True):
            self._take(lines)
        self._store()
        self._delivery.finish()
        self._delivery.say(goodbye(self._queue.position))

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _step(self) -> None:
        now = time.monotonic()
        if self._queue.full:
            time.sleep(self._delivery.wait(now) or 0.0)
        else:
            self._read(now)
            if self._traces.size >= BATCH_BYTES or time.monotonic() >= self._due:
                self._store()
        while self._delivery.work():
            pass
        if len(self._traces) and not len(self._queue):
            now = time.monotonic()
            self._due = min(self._due, now + max(LINGER, self._traces.wait(now)))

    def _read(self, now: float) -> None:
        if select.select([self._journal], [], [], self._patience(now))[0]:
            self._take(self._journal.read())
            if self._journal.ended:  # journalctl ended by itself: start another, but not in a tight loop
                time.sleep(1.0)
                self._journal.close()
                self._store()
                self._journal = self._open()
        self._take(self._files.read(time.monotonic()))

    def _patience(self, now: float) -> float | None:
        """How long to wait for the journal, in seconds; None for ever."""
        waits = [self._files.wait(now), self._delivery.wait(now), self._due - now if len(self._traces) else None]
        known = [wait for wait in waits if wait is not None]
        return max(0.0, min(known)) if known else None

    def _take(self, lines: list[bytes]) -> None:
        now = time.monotonic()
        for line in lines:
            self._traces.add(line, now)
        if lines:
            linger = LINGER if len(self._queue) < 2 else BACKLOG_LINGER
            self._due = max(min(self._due, now + linger), now + self._traces.wait(now))

    def _store(self) -> None:
        """Put what was read into the queue."""
        self._due = float("inf")
        lines = self._traces.take()
        if not lines:
            return
        sequence = self._queue.position.sequence
        numbered = []
        for line in lines:
            sequence += 1 + (lost_in(line) if line.startswith(LOST) else 0)
            numbered.append(json.with_field(self._masks.apply(line), b"_BLUESTONE_SEQUENCE", sequence))
        position = Position(sequence, self._journal.cursor, self._files.positions())
        self._queue.add(position, self._receiver.pack(b"\n".join(numbered) + b"\n"))

    def _open(self) -> Journal:
        return Journal(self._queue.position.cursor, follow=self._follow, masks=self._masks)


class Rules:
    """What the declaration says: files to read besides the journal, and what to hide."""

    def __init__(self, text: str) -> None:
        lines = [line.partition(" ") for line in text.splitlines()]
        self.files = [rest for word, _, rest in lines if word == "file"]
        self.masks = [rest for word, _, rest in lines if word == "mask"]


LOST = b'{"__CURSOR":"'


def lost_in(line: bytes) -> int:
    """How many lines are missing before this one, if it says so: their numbers are passed over."""
    marker = b'"_BLUESTONE_LOST":"'
    at = line.find(marker)
    if at < 0:
        return 0
    digits = line[at + len(marker) :].partition(b'"')[0]
    return int(digits) if digits.isdigit() else 0


def goodbye(position: Position) -> bytes:
    """The last record: the number of the last line. No program can forge a field with an underscore."""
    last = position.sequence
    return (
        json.record(
            __CURSOR=f"{position.cursor};goodbye={last}",
            __REALTIME_TIMESTAMP=time.time_ns() // 1000,
            _BLUESTONE_GOODBYE=last,
            PRIORITY="6",
            _SYSTEMD_UNIT="bluestone-shipper.service",
            MESSAGE=f"goodbye after {last} lines",
        )
        + b"\n"
    )


def stop(number: int, _: object) -> None:
    """Leave `follow` from wherever it is: it may die anywhere, so it may be left anywhere."""
    signal.signal(number, signal.SIG_IGN)
    raise Stopped


def credential(name: str) -> str:
    """What the service manager handed over under this name; empty for nothing."""
    try:
        with open(f"{os.environ['CREDENTIALS_DIRECTORY']}/{name}") as file:  # noqa: PTH123
            return file.read().strip()
    except FileNotFoundError:
        return ""


def credential_file(name: str) -> str | None:
    """The path of what was handed over, if that is not empty."""
    path = f"{os.environ['CREDENTIALS_DIRECTORY']}/{name}"
    return path if os.path.exists(path) and os.path.getsize(path) else None  # noqa: PTH110, PTH202


def main() -> None:
    """Ship until SIGTERM, then the rest, then end within `FAREWELL` seconds."""
    receiver = Receiver(
        credential("endpoint"), credential("token"), credential_file("ca"), credential_file("certificate")
    )
    state, rules = f"{os.environ['RUNTIME_DIRECTORY']}/queue", Rules(credential("rules"))
    shipper = None
    try:
        signal.signal(signal.SIGTERM, stop)
        shipper = Shipper(receiver, state, rules)
        shipper.follow()
    except Stopped:
        receiver.close()
        if shipper:
            shipper.close()
    try:
        Shipper(receiver, state, rules, time.monotonic() + FAREWELL, follow=False).finish()
    except TimeoutError as late:
        raise SystemExit(f"shipper: {late}") from late
