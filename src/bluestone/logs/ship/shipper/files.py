"""Reads lines from files that programs write, also when these are rotated or truncated.

A file is known by device and inode, and by the checksum of its beginning. A line is named by these and its offset.
What a file held before the server came (on a volume) is not this server's, and is passed over.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
import zlib
from collections.abc import Iterable, Sequence

from . import json
from .masks import REACH, Masks
from .queue import File

POLL = 0.2
"""Seconds between two looks."""

PIECE = 64 << 10
LONGEST = 256 << 10
"""Bytes; a longer line leaves in parts."""

CHECKED = 256
GRACE = 10.0
"""Seconds that a file is still read after its name is gone: its program may not have opened the new one yet."""

PARTIAL = 5.0
"""Seconds after which a line without its end is taken as it is, in a file that nobody will go on with."""

MOST = 64
"""Files read at once."""


class Tail:
    """One file that is read to its end, again and again."""

    def __init__(self, descriptor: int, at: File, masks: Masks) -> None:
        self.descriptor, self.at, self._masks = descriptor, at, masks
        self.part = 0
        self.left = float("inf")
        """Until when it is read, once its name is gone."""

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.at.device, self.at.inode

    def check(self) -> None:
        """Begin again if the file was truncated or written anew."""
        at = self.at
        status = os.fstat(self.descriptor)
        if status.st_size >= at.offset and _checksum(self.descriptor, at.checked) == at.check:
            return
        self.at = File(at.device, at.inode, _epoch(), 0, 0, 0, at.path)
        self.part = 0

    def read(self, *, whole: bool) -> list[bytes]:
        """The next lines; with `whole`, what follows the last line end as well, for nothing more will come."""
        taken = self._piece(whole=whole)
        lines = []
        for raw in _split(taken):
            ended = raw.endswith(b"\n")
            self.part = self.part + 1 if self.part or not ended else 0
            if raw.strip():
                lines.append(self._record(raw.rstrip(b"\r\n")))
            self.at.offset += len(raw)
            self.part = 0 if ended else self.part
        if self.at.checked < CHECKED:
            self.at.checked = min(CHECKED, self.at.offset)
            self.at.check = _checksum(self.descriptor, self.at.checked)
        return lines

    def _piece(self, *, whole: bool) -> bytes:
        """Whole lines; or a part of one that is too long, cut where no secret is; or, with `whole`, what there is."""
        data = os.pread(self.descriptor, PIECE, self.at.offset)
        if end := data.rfind(b"\n") + 1:
            return data[:end]
        if len(data) < PIECE:
            return data if whole else b""
        data = os.pread(self.descriptor, LONGEST + REACH, self.at.offset)
        if end := data.find(b"\n", 0, LONGEST) + 1:
            return data[:end]
        if len(data) < LONGEST + REACH and b"\n" not in data and not whole:
            return b""
        return data[: self._masks.cut(data, LONGEST)] if len(data) > LONGEST else data

    def _record(self, raw: bytes) -> bytes:
        at = self.at
        fields: dict[str, object] = {
            "__CURSOR": f"file;d={at.device:x};n={at.inode:x};e={at.epoch};o={at.offset:x}",
            "__REALTIME_TIMESTAMP": time.time_ns() // 1000,
            "_TRANSPORT": "file",
            "_BLUESTONE_FILE": at.path,
            "SYSLOG_IDENTIFIER": at.path,
            "PRIORITY": "6",
        }
        if self.part:
            fields["_BLUESTONE_PART"] = self.part
        return json.record(**fields, MESSAGE=raw.decode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.descriptor)


class Files:
    """The declared files: paths whose last part may have `*` and `?`."""

    def __init__(self, patterns: Sequence[str], known: Iterable[File], masks: Masks, *, new: bool) -> None:
        self._masks = masks
        self._patterns = [_pattern(each) for each in patterns]
        self._tails: dict[tuple[int, int], Tail] = {}
        self._trouble: set[str] = set()
        self._looked = 0.0
        self._resume(list(known))
        if new:
            for tail in self._look():
                tail.at.offset = os.fstat(tail.descriptor).st_size
                tail.at.checked = min(CHECKED, tail.at.offset)
                tail.at.check = _checksum(tail.descriptor, tail.at.checked)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def positions(self) -> tuple[File, ...]:
        """Where each file stands."""
        return tuple(File(**vars(tail.at)) for tail in self._tails.values())

    def wait(self, now: float) -> float | None:
        """Seconds until the next look; None if there are no files."""
        return max(0.0, self._looked + POLL - now) if self._patterns else None

    def read(self, now: float, *, last: bool = False) -> list[bytes]:
        """Lines that came since the last look, a piece of each file; with `last`, also those without their end."""
        if not self._patterns or (now < self._looked + POLL and not last):
            return []
        present = {tail.key for tail in self._look()}
        lines, behind = [], False
        for tail in list(self._tails.values()):
            tail.check()
            gone = tail.key not in present
            if gone and tail.left == float("inf"):
                tail.left = now + GRACE
            over = last or (gone and now >= tail.left - GRACE + PARTIAL)
            fresh = tail.read(whole=over)
            lines += fresh
            behind = behind or bool(fresh)
            if gone and not fresh and now >= tail.left:
                del self._tails[tail.key]
                tail.close()
        self._looked = 0.0 if behind else now
        return lines

    def _look(self) -> list[Tail]:
        """The files that are there now, opened if they are new."""
        return [tail for path in self._paths() if (tail := self._tail(path))]

    def _paths(self) -> list[str]:
        found = []
        for directory, name in self._patterns:
            try:
                names = os.listdir(directory)  # noqa: PTH208
            except OSError:
                continue
            found += [f"{directory}/{each}" for each in sorted(names) if name.fullmatch(each) and each.isprintable()]
        return found

    def _tail(self, path: str) -> Tail | None:
        try:
            status = os.stat(path)  # noqa: PTH116
            known = self._tails.get((status.st_dev, status.st_ino))
            if known or not stat.S_ISREG(status.st_mode):
                return known
            if len(self._tails) >= MOST:
                self._tell(path, f"more than {MOST} files are not read at once")
                return None
            return self._open(path, None)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(path, str(error.strerror))
            return None

    def _open(self, path: str, at: File | None) -> Tail | None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (at and (at.device, at.inode) != (status.st_dev, status.st_ino)):
            os.close(descriptor)
            return None
        tail = Tail(descriptor, at or File(status.st_dev, status.st_ino, _epoch(), 0, 0, 0, path), self._masks)
        self._tails[tail.key] = tail
        return tail

    def _resume(self, known: list[File]) -> None:
        """Open again what was read before, under its name or one that it was given meanwhile."""
        for at in known:
            for path in [at.path, *_siblings(at)]:
                try:
                    if self._open(path, at):
                        break
                except OSError:
                    continue

    def _tell(self, path: str, trouble: str) -> None:
        if path not in self._trouble:
            print(f"shipper: {path} cannot be read: {trouble}", file=sys.stderr, flush=True)
            self._trouble.add(path)


def _siblings(at: File) -> list[str]:
    """Files beside it with its inode: it was renamed."""
    directory = at.path.rpartition("/")[0] or "/"
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.inode() == at.inode]
    except OSError:
        return []


def _split(taken: bytes) -> list[bytes]:
    """Lines with their ends; only a line feed ends one."""
    *whole, rest = taken.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def _pattern(path: str) -> tuple[str, re.Pattern[str]]:
    directory, _, name = path.rpartition("/")
    wild = re.escape(name).replace(r"\*", ".*").replace(r"\?", ".")
    return directory or "/", re.compile(wild)


def _checksum(descriptor: int, length: int) -> int:
    return zlib.crc32(os.pread(descriptor, length, 0)) if length else 0


def _epoch() -> str:
    """A name for an incarnation of a file; the clock only has to differ between two of one file."""
    return f"{time.time_ns():x}"
