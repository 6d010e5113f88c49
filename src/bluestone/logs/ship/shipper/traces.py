"""Joins the lines of a trace (Python, Java and its kin) to the one line that they are."""

from __future__ import annotations

import re

from .json import MESSAGE, STREAM, with_field

QUIET, LONGEST_WAIT = 0.3, 0.8
"""Seconds that a trace waits for its next line, and that it may take as a whole."""

MAX_LINES, MAX_BYTES = 1000, 128 << 10
LOOKED_AT = 512
"""Bytes of a message that say whether it is part of a trace."""

BEGIN = re.compile(
    rb"Traceback \(most recent call last\):|^panic: |^goroutine \d+ \["
    rb"|(?:^|[ \"(:])(?:[a-zA-Z_$][\w$]*\.)+[\w$]*(?:Exception|Error|Throwable)\b"
)
INNER = re.compile(rb"(?: |\\t|$|Caused by: |Suppressed: |\.\.\. \d+ more)")
"""How lines within a trace begin. Messages are looked at as they stand in JSON, where a tab is `\\t`."""

AGAIN = re.compile(rb"Traceback \(most|During handling of the above|The above exception was|$")
"""How another part of a Python trace begins, after what seemed to be its end."""


class _Trace:
    """Lines of one trace so far."""

    def __init__(self, line: bytes, text: bytes, now: float) -> None:
        self.first, self.texts, self.size = line, [text], len(text)
        self.python = text.rstrip().endswith(b"Traceback (most recent call last):")
        self.ended = False
        self.began = self.touched = now

    def takes(self, text: bytes) -> bool:
        """Whether a line of the same program goes on with this trace."""
        if len(self.texts) >= MAX_LINES or self.size + len(text) > MAX_BYTES:
            return False
        start = text[:LOOKED_AT]
        if not self.python:
            return INNER.match(start) is not None
        if self.ended and not (INNER.match(start) or AGAIN.match(start)):
            return False
        self.ended = not INNER.match(start) and not AGAIN.match(start)  # the line that names the exception
        return True

    def add(self, text: bytes, now: float) -> None:
        self.texts.append(text)
        self.size += len(text)
        self.touched = now

    def joined(self) -> bytes:
        if len(self.texts) == 1:
            return self.first
        found = MESSAGE.search(self.first)
        assert found
        whole = self.first[: found.start(1)] + b"\\n".join(self.texts) + self.first[found.end(1) :]
        return with_field(whole, b"_BLUESTONE_JOINED", len(self.texts))


class Traces:
    """Lines in, lines out, in their order; what follows a trace that is still open waits with it."""

    def __init__(self) -> None:
        self._out: list[bytes | _Trace] = []
        self._open: dict[bytes, _Trace] = {}
        self.size = 0

    def add(self, line: bytes, now: float) -> None:
        """Take a line at `now` (seconds of a clock that only goes forward)."""
        self.size += len(line)
        found = MESSAGE.search(line)
        if not found or not (self._open or BEGIN.search(found[1], 0, LOOKED_AT)):
            self._out.append(line)
            return
        stream = (STREAM.search(line) or found)[0]
        trace = self._open.pop(stream, None)
        if trace and trace.takes(found[1]):
            trace.add(found[1], now)
            self._open[stream] = trace
        elif BEGIN.search(found[1], 0, LOOKED_AT):
            self._open[stream] = trace = _Trace(line, found[1], now)
            self._out.append(trace)
        else:
            self._out.append(line)

    def wait(self, now: float) -> float:
        """Seconds until everything may be taken."""
        ends = (min(each.touched + QUIET, each.began + LONGEST_WAIT) for each in self._open.values())
        return max(0.0, max((end - now for end in ends), default=0.0))

    def take(self) -> list[bytes]:
        """All that came; what is still open is closed."""
        out = [each.joined() if isinstance(each, _Trace) else each for each in self._out]
        self._out, self._open, self.size = [], {}, 0
        return out

    def __len__(self) -> int:
        return len(self._out)
