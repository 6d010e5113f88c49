"""A tree as a manifest, and the manifest's digest: the image's name.

A manifest has one line for each path, sorted by the path's bytes: kind, mode, owner, group, time (seconds since 1970),
size, content (a file's SHA-256, a link's target), file capabilities, path. What is not there is `-`; what is not
printable ASCII, and space, `%` and a lone `-`, is percent-encoded. `python -m bluestone.image.tree ROOT` prints one.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from bluestone.model.ids import Digest
from bluestone.model.problem import Problem

CAPABILITY = "security.capability"

CHUNK = 1 << 16

_PLAIN = re.compile(rb"(?!-\Z)[!-$&-~]+")
"""What stands for itself in a manifest, as nearly everything does."""


class Entry(Struct, frozen=True):
    """One path of a tree, relative to its root. `kind` is `file`, `dir`, `link` or `fifo`; `time` in seconds."""

    path: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    time: int
    size: int = 0
    content: bytes = b""
    capability: bytes = b""

    def line(self) -> str:
        """The entry as a manifest has it."""
        content = (self.content, self.capability.hex().encode(), self.path)
        fields = f"{self.kind} {self.mode:04o} {self.uid} {self.gid} {self.time} {self.size}"
        return " ".join([fields, *map(encode, content)])

    @classmethod
    def parse(cls, line: str) -> Entry:
        """The entry of a manifest's line. Raises `ValueError`."""
        kind, mode, uid, gid, time, size, content, capability, path = line.split(" ")
        return cls(
            path=decode(path),
            kind=kind,
            mode=int(mode, 8),
            uid=int(uid),
            gid=int(gid),
            time=int(time),
            size=int(size),
            content=decode(content),
            capability=bytes.fromhex(decode(capability).decode()),
        )


def scan(root: Path) -> Iterator[Entry]:
    """All that is below `root`, sorted, as this process sees its owners. Raises `Problem` for a socket or device."""
    base = os.fsencode(root)
    for path in sorted(_walk(base)):
        yield entry(base, path)


def manifest(root: Path) -> str:
    """The manifest of the tree below `root`."""
    return "".join(f"{entry.line()}\n" for entry in scan(root))


def digest(text: str) -> Digest:
    """The name of the tree that has this manifest."""
    return Digest("sha256:" + hashlib.sha256(text.encode()).hexdigest())


def content_size(text: str) -> tuple[int, int]:
    """How many bytes the files of a manifest hold, and how many files they are."""
    sizes = [int(line.split(" ", 6)[5]) for line in text.splitlines() if line.startswith("file ")]
    return sum(sizes), len(sizes)


def differences(one: str, other: str) -> list[str]:
    """The paths in which two manifests differ, sorted, each beginning with `/`."""
    lines = set(one.splitlines()) ^ set(other.splitlines())
    return sorted({"/" + os.fsdecode(Entry.parse(line).path) for line in lines})


def hash_file(path: bytes) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    # Most files are small: `hashlib.file_digest` clears a buffer of 256 KiB for each.
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _walk(root: bytes) -> Iterator[bytes]:
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        with os.scandir(os.path.join(root, directory)) as entries:
            for entry in entries:
                path = directory + b"/" + entry.name if directory else entry.name
                yield path
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)


def entry(root: bytes, path: bytes) -> Entry:
    """The entry of one path below `root`. Raises `Problem` for a socket or device."""
    full = root + b"/" + path
    status = os.lstat(full)
    mode, time = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    if stat.S_ISREG(status.st_mode):
        content = hash_file(full).encode()
        owner = (status.st_uid, status.st_gid)
        return Entry(path, "file", mode, *owner, time, status.st_size, content, _capability(full))
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, "link", mode, status.st_uid, status.st_gid, time, content=os.readlink(full))
    if stat.S_ISDIR(status.st_mode):
        return Entry(path, "dir", mode, status.st_uid, status.st_gid, time)
    if stat.S_ISFIFO(status.st_mode):
        return Entry(path, "fifo", mode, status.st_uid, status.st_gid, time)
    raise Problem(
        f"/{os.fsdecode(path)} in the image is a socket or a device, which an image cannot hold",
        mend="remove it at the end of image.run",
    )


def _capability(path: bytes) -> bytes:
    try:
        return os.getxattr(path, CAPABILITY, follow_symlinks=False)
    except OSError:
        return b""


def encode(value: bytes) -> str:
    """A path or another value of bytes as a manifest has it."""
    if _PLAIN.fullmatch(value):
        return value.decode("ascii")
    if value in (b"", b"-"):
        return "-" if not value else "%2D"
    return "".join(chr(byte) if 0x21 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}" for byte in value)


def decode(text: str) -> bytes:
    """What a manifest's path or other value stands for."""
    return b"" if text == "-" else unquote_to_bytes(text)


if __name__ == "__main__":
    sys.stdout.write(manifest(Path(sys.argv[1])))
