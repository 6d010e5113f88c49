"""What was read and is not acknowledged yet, on the disk: it is sent again exactly as it was, whatever died.

DIRECTORY/NUMBER     a batch: how far it reaches, an empty line, the body to be sent; named by its last line's number
DIRECTORY/progress   how far the receiver has acknowledged, in the same words

Each is written beside its place, fsynced and then renamed into it.
"""

from __future__ import annotations

import os

MOST = 256
"""Batches that wait."""

QUEUE_BYTES = 16 << 20
"""The most that waits here. On a server that is in memory; beyond it the journal and the files hold the lines."""


class Position:
    """How far lines were read: the number of the last, the journal's cursor after it, and where each file stands.

    `files` maps a file's name for itself (device, inode, incarnation) to its `File`.
    """

    def __init__(self, sequence: int = 0, cursor: str = "", files: tuple[File, ...] = ()) -> None:
        self.sequence, self.cursor, self.files = sequence, cursor, files

    def text(self) -> bytes:
        """As it is written down."""
        lines = [f"sequence {self.sequence}", f"journal {self.cursor}"]
        lines += [f"file {file.text()}" for file in self.files]
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape") + b"\n"

    @classmethod
    def parse(cls, text: bytes) -> Position:
        """Read it again. Raises `ValueError`."""
        sequence, cursor, files = -1, "", []
        for line in text.decode("utf-8", "surrogateescape").splitlines():
            word, _, rest = line.partition(" ")
            if word == "sequence":
                sequence = int(rest)
            elif word == "journal":
                cursor = rest
            elif word == "file":
                files.append(File.parse(rest))
        if sequence < 0:
            raise ValueError("there is no number")
        return cls(sequence, cursor, tuple(files))


class File:
    """Where a file stands: `offset` bytes are read, whose first `checked` have the checksum `check` (CRC-32).

    `epoch` tells incarnations of a file apart: it was truncated, or another one got its inode.
    """

    def __init__(self, device: int, inode: int, epoch: str, offset: int, checked: int, check: int, path: str) -> None:
        self.device, self.inode, self.epoch, self.offset = device, inode, epoch, offset
        self.checked, self.check, self.path = checked, check, path

    def text(self) -> str:
        """As it is written down."""
        return f"{self.device} {self.inode} {self.epoch} {self.offset} {self.checked} {self.check} {self.path}"

    @classmethod
    def parse(cls, text: str) -> File:
        """Read it again. Raises `ValueError`."""
        device, inode, epoch, offset, checked, check, path = text.split(" ", 6)
        return cls(int(device), int(inode), epoch, int(offset), int(checked), int(check), path)


class Batch:
    """Lines that wait. `path` is None where the disk had no room, and they are held in memory."""

    def __init__(self, position: Position, size: int, path: str | None, body: bytes | None = None) -> None:
        self.position, self.size, self.path, self._body = position, size, path, body

    def body(self) -> bytes:
        """What is to be sent."""
        if self._body is not None:
            return self._body
        assert self.path
        with open(self.path, "rb") as file:  # noqa: PTH123 - pathlib costs 1 MB of memory
            return file.read().partition(b"\n\n")[2]


class Queue:
    """The batches that wait, the oldest first."""

    def __init__(self, directory: str, limit: int = QUEUE_BYTES) -> None:
        self._directory, self._limit = directory, limit
        os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103
        self.acknowledged = self._read_progress()
        self.new = not os.path.exists(self._progress)  # noqa: PTH110
        self._batches = [batch for name in sorted(os.listdir(directory)) if (batch := self._load(name))]  # noqa: PTH208
        self.position = self._batches[-1].position if self._batches else self.acknowledged
        self._size = sum(batch.size for batch in self._batches)

    @property
    def full(self) -> bool:
        """Whether nothing more should be read for now."""
        held = bool(self._batches) and self._batches[-1].path is None
        return held or self._size >= self._limit or len(self._batches) >= MOST

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def oldest(self) -> Batch | None:
        """What is to be sent next."""
        return self._batches[0] if self._batches else None

    def add(self, position: Position, body: bytes) -> None:
        """Have lines wait; `position` is how far they reach."""
        path: str | None = f"{self._directory}/{position.sequence:020d}"
        try:
            _write(str(path), position.text() + body)
        except OSError:  # the disk is full: one batch in memory, and nothing more is read until it is acknowledged
            path = None
        self._batches.append(Batch(position, len(body), path, None if path else body))
        self._size += len(body)
        self.position = position

    def acknowledge(self) -> None:
        """The oldest batch is the receiver's now."""
        batch = self._batches.pop(0)
        self._size -= batch.size
        self.save(batch.position)
        if batch.path:
            os.unlink(batch.path)  # noqa: PTH108

    def save(self, position: Position) -> None:
        """Everything up to a position is the receiver's, or not ours to send."""
        self.acknowledged = position
        try:
            _write(self._progress, position.text())
        except OSError:  # no room: after a crash the same lines are sent again, and the receiver knows them
            return

    @property
    def _progress(self) -> str:
        return f"{self._directory}/progress"

    def _read_progress(self) -> Position:
        try:
            with open(self._progress, "rb") as file:  # noqa: PTH123
                return Position.parse(file.read())
        except (OSError, ValueError):
            return Position()

    def _load(self, name: str) -> Batch | None:
        path = f"{self._directory}/{name}"
        if not name.isdigit():
            if name.endswith(".new"):
                os.unlink(path)  # noqa: PTH108
            return None
        with open(path, "rb") as file:  # noqa: PTH123
            head, _, body = file.read().partition(b"\n\n")
        position = Position.parse(head)
        if position.sequence <= self.acknowledged.sequence:  # acknowledged, and we died before it was removed
            os.unlink(path)  # noqa: PTH108
            return None
        return Batch(position, len(body), path)


def _write(path: str, content: bytes) -> None:
    draft = f"{path}.new"
    try:
        with open(draft, "wb") as file:  # noqa: PTH123
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)  # noqa: PTH105
    except OSError:
        if os.path.exists(draft):  # noqa: PTH110
            os.unlink(draft)  # noqa: PTH108
        raise
