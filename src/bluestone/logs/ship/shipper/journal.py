"""The journal, by `journalctl`, which passes its entries on as JSON, a line each."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator

from . import json
from .masks import REACH, Masks

READ = 256 << 10
"""Bytes read at once."""

LONGEST = 256 << 10
"""A longer line leaves in parts of so many bytes, so that memory stays bounded whatever a program logs."""

PLACE = re.compile(r"s=([0-9a-f]+);i=([0-9a-f]+)")


class Lines:
    """Cuts a stream into lines; a line beyond `LONGEST` comes as parts, each a JSON line of its own.

    A part is named by the cursor of the line before it and its number since then, so it is the same when sent again.
    `cursor` is how far it came in these words, and where to go on after a restart.
    """

    def __init__(self, cursor: str = "", masks: Masks | None = None) -> None:
        self._last, _, part = cursor.partition(";part=")
        self._done = int(part) if part.isdigit() else 0
        """Parts that were sent before: they are not sent again."""
        self._part = 0
        self._long = 0
        """Long lines since the last cursor."""
        self._within = False
        self._rest = b""
        self._masks = masks or Masks(())

    @property
    def cursor(self) -> str:
        """The last line's, or that of the last part."""
        part = max(self._part, self._done)
        return f"{self._last};part={part}" if part else self._last

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete with `data`, without their line ends."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield from self._finish(line)
        while len(self._rest) > LONGEST + REACH:
            yield from self._cut()

    def _finish(self, line: bytes) -> Iterator[bytes]:
        if not self._within and len(line) <= LONGEST:
            if found := json.CURSOR.search(line):
                yield from self._move(found[1].decode())
            yield line
            return
        rest, self._rest = self._rest, line
        while self._rest:
            yield from self._cut()
        self._rest, self._within = rest, False
        self._long += 1

    def _move(self, cursor: str) -> Iterator[bytes]:
        """Go on to a line; entries between it and the last one are gone from the journal, and that is told."""
        before, here = PLACE.match(self._last), PLACE.match(cursor)
        if before and here and before[1] == here[1]:
            lost = int(here[2], 16) - int(before[2], 16) - 1 - self._long
            if lost > 0:
                yield lost_record(self._last, lost)
        self._last, self._part, self._done, self._long = cursor, 0, 0, 0

    def _cut(self) -> Iterator[bytes]:
        end = min(LONGEST, len(self._rest))
        if end < len(self._rest):
            end = self._masks.cut(self._rest, end)
        piece, self._rest = self._rest[:end], self._rest[end:]
        self._within = True
        self._part += 1
        if self._part <= self._done:
            return
        text = piece.replace(b"\\", rb"\\").replace(b'"', rb"\"")
        head = f'{{"__CURSOR":"{self._last};part={self._part}","_BLUESTONE_PART":"{self._part}","MESSAGE":"'
        yield head.encode() + text + b'"}'


def lost_record(cursor: str, lost: int) -> bytes:
    """What stands for entries that the journal dropped before they could be read: it is bounded."""
    return json.record(
        __CURSOR=f"{cursor};lost={lost}",
        __REALTIME_TIMESTAMP=time.time_ns() // 1000,
        _BLUESTONE_LOST=lost,
        PRIORITY="4",
        _SYSTEMD_UNIT="bluestone-shipper.service",
        MESSAGE=f"the journal dropped {lost} lines before they could be shipped",
    )


class Journal:
    """`journalctl`, read from just after a cursor; to the journal's end, or following it."""

    def __init__(self, cursor: str, *, follow: bool, masks: Masks | None = None) -> None:
        self._sent = cursor.partition(";part=")[0]
        # --cursor and not --after-cursor: when that line is gone, the latter skips one that was never sent.
        command = ["journalctl", "--output=json", "--all", "--quiet", "--no-tail"]
        command += ["--follow"] if follow else []
        command += [f"--cursor={self._sent}"] if self._sent else []
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pipesize=READ)
        assert self._child.stdout
        self._pipe = self._child.stdout.fileno()
        self._lines = Lines(cursor, masks)
        self.ended = False

    @property
    def cursor(self) -> str:
        """How far lines were read; where to go on."""
        return self._lines.cursor

    def fileno(self) -> int:
        """For `select`."""
        return self._pipe

    def read(self) -> list[bytes]:
        """The next lines; waits for some data. None of it are lines yet, if it is half of one."""
        data = os.read(self._pipe, READ)
        self.ended = not data
        fresh = [line for line in self._lines.feed(data) if line]
        if self._sent and fresh:
            if json.cursor_of(fresh[0]) == self._sent:
                del fresh[0]
            self._sent = ""
        return fresh

    def close(self) -> None:
        """End journalctl."""
        self._child.kill()
        self._child.communicate()
