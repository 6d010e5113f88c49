"""Hides what must not leave the server: each rule is a regular expression; what it matches is replaced.

Where a rule has groups, only what they match is replaced: `password=(\\S+)` leaves `password=[masked]`.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from . import json

MARK = "[masked]"
WITHHELD = "[withheld: masking took too long]"
PATIENCE = 1.0
"""Seconds of a processor that the rules may take for one line. One that runs away hides the line's texts whole."""

REACH = 4096
"""Bytes around a cut of a long line that are looked at, so that no secret leaves in two halves."""

PLAIN = ("__", "_BLUESTONE_", "_BOOT_ID", "_MACHINE_ID", "PRIORITY")
"""How fields begin that journald or the shipper make, of nothing that anybody wrote."""

REMEMBERED = 1024


class _TooLong(Exception):
    """The rules took longer than `PATIENCE`."""


class Masks:
    """The rules of a server."""

    def __init__(self, rules: Sequence[str]) -> None:
        self._rules = [re.compile(rule) for rule in rules]
        self._known: dict[str, str] = {}  # what journald says of a program is the same in each of its lines

    def apply(self, line: bytes) -> bytes:
        """The line without what the rules hide."""
        if not self._rules:
            return line
        before = signal.signal(signal.SIGPROF, _too_long)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        try:
            return json.with_texts(line, self._text)
        except _TooLong:
            return json.with_texts(line, lambda name, text: text if name.startswith(PLAIN) else WITHHELD)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)

    def cut(self, text: bytes, end: int) -> int:
        """Where a long text may be cut, at `end` or a little before: not in what a rule hides, nor in a character."""
        begin = max(0, end - REACH)
        window = text[begin : end + REACH].decode("latin-1")  # a character for each byte, so that places stay
        for rule in self._rules:
            for found in rule.finditer(window):
                if found.start() < end - begin < found.end() and found.start():
                    end = begin + found.start()
        back = end
        while back < len(text) and back > end - 3 and text[back] & 0xC0 == 0x80:
            back -= 1
        return back if back == len(text) or text[back] & 0xC0 != 0x80 else end  # or else it is no UTF-8

    def _text(self, name: str, text: str) -> str:
        if name.startswith(PLAIN):
            return text
        if name != "MESSAGE" and (known := self._known.get(text)) is not None:
            return known
        hidden = text
        for rule in self._rules:
            hidden = rule.sub(_hide, hidden)
        if name != "MESSAGE" and len(text) < REMEMBERED:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = hidden
        return hidden


def _hide(found: re.Match[str]) -> str:
    spans = sorted(span for number in range(1, found.re.groups + 1) if (span := found.span(number))[0] >= 0)
    if not spans:
        return MARK if found[0] else ""
    text, at, out = found.string, found.start(), []
    for start, end in spans:
        if start >= at and end > start:
            out += [text[at:start], MARK]
            at = end
    return "".join([*out, text[at : found.end()]])


def _too_long(*_: object) -> None:
    raise _TooLong
