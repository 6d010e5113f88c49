"""Tries, ever more slowly, until what waits in the queue is acknowledged."""

from __future__ import annotations

import os
import sys
import time

from .connection import Receiver
from .queue import Batch, Queue

ANSWER_TIMEOUT = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
REFUSED_PAUSE = 30.0
"""Seconds between tries when the credential is refused: that heals only if somebody mends it."""

BREAKS, SMALLEST = 3, 16 << 10
"""Connections that broke, after which lines go in halves; and bytes of which no halves are made for that."""


class TooLarge(Exception):
    """The receiver takes no batch of this size."""


class Delivery:
    """Sends what waits. `deadline` (monotonic seconds) is when it must have ended."""

    def __init__(self, receiver: Receiver, queue: Queue, deadline: float = float("inf")) -> None:
        self._receiver, self._queue, self._deadline = receiver, queue, deadline
        self._pause, self._next = FIRST_PAUSE, 0.0
        self._trouble = ""
        self._left: list[list[bytes]] = []
        """Of the oldest batch, what is not acknowledged yet, if it goes in parts."""
        self._breaks = 0
        """How often a connection broke while lines travelled."""

    def wait(self, now: float) -> float | None:
        """Seconds until the next try; None if nothing waits."""
        return max(0.0, self._next - now) if self._queue.oldest else None

    def work(self) -> bool:
        """Try to send the oldest batch, if it is time; whether it was acknowledged."""
        batch = self._queue.oldest
        if batch is None or time.monotonic() < self._next:
            return False
        status = self._attempt(batch)
        if status == 200:
            self._queue.acknowledge()
            self._pause, self._next, self._breaks = FIRST_PAUSE, 0.0, 0
            return True
        self._pause = min(self._pause * 2, REFUSED_PAUSE if status in (401, 403) else LONGEST_PAUSE)
        self._next = time.monotonic() + self._pause * jitter()
        return False

    def finish(self) -> None:
        """Send all that waits. Raises `TimeoutError` after the deadline."""
        while self._queue.oldest:
            if self.work():
                continue
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the journal's last lines were not acknowledged in time")
            time.sleep(min(left, self.wait(time.monotonic()) or 0.0))

    def say(self, record: bytes) -> None:
        """Send one record past the queue, which is empty. Raises `TimeoutError` after the deadline."""
        while self._send(self._receiver.pack(record)) != 200:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the goodbye was not acknowledged in time")
            time.sleep(min(left, FIRST_PAUSE * 2 * jitter()))

    def _attempt(self, batch: Batch) -> int:
        """Send a batch, or what is left of it; it counts as sent when all of it is. The last answer's status."""
        if not self._left and self._breaks < BREAKS:
            try:
                return self._send(batch.body())
            except TooLarge:
                self._breaks = 0
        if not self._left:
            self._left = _halves(self._receiver.unpack(batch.body()).splitlines(keepends=True))
        while self._left:
            lines = self._left[0]
            try:
                status = self._send(self._receiver.pack(b"".join(lines)))
            except TooLarge:
                if len(lines) == 1:
                    raise SystemExit(f"shipper: the receiver takes no line of {len(lines[0])} bytes") from None
                self._left[:1] = _halves(lines)
                continue
            if status != 200:
                if self._breaks >= BREAKS and len(lines) > 1 and sum(map(len, lines)) > SMALLEST:
                    self._left[:1], self._breaks = _halves(lines), 0
                return status
            del self._left[0]
        return 200

    def _send(self, body: bytes) -> int:
        """The answer's status, or 0 for none. Raises `TooLarge`."""
        left = self._deadline - time.monotonic()
        try:
            status = self._receiver.post(body, max(0.1, min(ANSWER_TIMEOUT, left)))
        except OSError as error:
            self._breaks += self._receiver.reached
            self._tell(f"the receiver cannot be reached ({error}); lines wait")
            return 0
        if status == 413:
            raise TooLarge
        self._tell("" if status == 200 else f"the receiver answers {status}; lines wait")
        return status

    def _tell(self, trouble: str) -> None:
        """Tell a new trouble, or its end, once: what is told here is itself shipped."""
        if trouble != self._trouble:
            print(f"shipper: {trouble or 'the receiver answers again'}", file=sys.stderr, flush=True)
            self._trouble = trouble


def _halves(lines: list[bytes]) -> list[list[bytes]]:
    middle = max(1, len(lines) // 2)
    return [half for half in (lines[:middle], lines[middle:]) if half]


def jitter() -> float:
    """Evenly between 0.5 and 1, so that a fleet does not come back all at once."""
    return 0.5 + os.urandom(1)[0] / 510  # the module `random` loads OpenSSL, 4 MB of memory
