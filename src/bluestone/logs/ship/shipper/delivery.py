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


class TooLarge(Exception):
    """The receiver takes no batch of this size."""


class Delivery:
    """Sends what waits. `deadline` (monotonic seconds) is when it must have ended."""

    def __init__(self, receiver: Receiver, queue: Queue, deadline: float = float("inf")) -> None:
        self._receiver, self._queue, self._deadline = receiver, queue, deadline
        self._pause, self._next = FIRST_PAUSE, 0.0
        self._trouble = ""

    def wait(self, now: float) -> float | None:
        """Seconds until the next try; None if nothing waits."""
        return max(0.0, self._next - now) if self._queue.oldest else None

    def work(self) -> bool:
        """Try to send the oldest batch, if it is time; whether it was acknowledged."""
        batch = self._queue.oldest
        if batch is None or time.monotonic() < self._next:
            return False
        try:
            status = self._send(batch.body())
        except TooLarge:
            status = self._send_halved(batch)
        if status == 200:
            self._queue.acknowledge()
            self._pause, self._next = FIRST_PAUSE, 0.0
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

    def _send_halved(self, batch: Batch) -> int:
        """Send a batch that is too large in parts; it counts as sent when all of them are."""
        waiting = [self._receiver.unpack(batch.body()).splitlines(keepends=True)]
        while waiting:
            lines = waiting.pop(0)
            try:
                status = self._send(self._receiver.pack(b"".join(lines)))
            except TooLarge:
                if len(lines) == 1:
                    raise SystemExit(f"shipper: the receiver takes no line of {len(lines[0])} bytes") from None
                middle = len(lines) // 2
                waiting = [lines[:middle], lines[middle:], *waiting]
                continue
            if status != 200:
                return status
        return 200

    def _send(self, body: bytes) -> int:
        """The answer's status, or 0 for none. Raises `TooLarge`."""
        left = self._deadline - time.monotonic()
        try:
            status = self._receiver.post(body, max(0.1, min(ANSWER_TIMEOUT, left)))
        except OSError as error:
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


def jitter() -> float:
    """Evenly between 0.5 and 1, so that a fleet does not come back all at once."""
    return 0.5 + os.urandom(1)[0] / 510  # the module `random` loads OpenSSL, 4 MB of memory
