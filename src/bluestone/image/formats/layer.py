"""An image's tree as a tar stream that depends on nothing but the image's manifest.

Owners, kinds, modes and times are the manifest's; only contents are read from the tree, and each is compared with its
digest there on the way: a tree that was changed is never packed. What the manifest does not tell apart, the stream
does not either: every name of a file has its content (there are no hard links).

The format is ustar of POSIX.1-2017 (`pax`), with extended headers only where a value does not fit. File capabilities
are in them as `SCHILY.xattr.security.capability`, as GNU tar and container engines have it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from bluestone.image.normalise import EPOCH
from bluestone.image.tree import CAPABILITY, Entry
from bluestone.model.problem import Problem

BLOCK = 512
CHUNK = 1 << 20
END = b"\0" * (2 * BLOCK)

KINDS = {"file": b"0", "link": b"2", "dir": b"5", "fifo": b"6"}
EXTENDED = b"x"

MAX_ID = 0o7777777
MAX_SIZE = 0o77777777777
MAX_TEXT = 100
"""What the fields of a ustar header hold; what is larger goes into an extended header. The second field for paths is
left alone: its rules are not worth the few bytes."""

ROOT = Entry(b"", "dir", 0o755, 0, 0, EPOCH)
"""The root itself, which no manifest has."""


def entries(root: Path) -> list[Entry]:
    """What the manifest beside an image's tree has, in its order."""
    return [Entry.parse(line) for line in (root.parent / "manifest").read_text().splitlines()]


def stream(entries: Iterable[Entry], root: Path) -> Iterator[bytes]:
    """The archive of the tree at `root`, in pieces. Raises `Problem` if the tree is not what the entries say."""
    yield header(ROOT)
    for entry in entries:
        yield header(entry)
        if entry.kind == "file":
            yield from _content(entry, root)
            yield b"\0" * (-entry.size % BLOCK)
    yield END


def read(entry: Entry, root: Path) -> bytes:
    """The content of a file of the tree at `root`. Raises `Problem` if it is not what the entry says."""
    return b"".join(_content(entry, root))


def header(entry: Entry) -> bytes:
    """The header blocks of an entry."""
    path = b"./" + entry.path + (b"/" if entry.kind == "dir" and entry.path else b"")
    target = entry.content if entry.kind == "link" else b""
    entry = entry if entry.kind == "file" else replace(entry, size=0)
    own = _block(entry, KINDS[entry.kind], path, target)
    records = b"".join(_record(*each) for each in sorted(_too_large(entry, path, target)))
    if not records:
        return own
    extended = Entry(b"", "file", 0o644, 0, 0, entry.time, len(records))
    return _block(extended, EXTENDED, b"././@PaxHeader", b"") + _padded(records) + own


def _too_large(entry: Entry, path: bytes, target: bytes) -> Iterator[tuple[str, bytes]]:
    """What a header has no room for."""
    if len(path) > MAX_TEXT:
        yield "path", path
    if len(target) > MAX_TEXT:
        yield "linkpath", target
    for name, value, most in (("uid", entry.uid, MAX_ID), ("gid", entry.gid, MAX_ID), ("size", entry.size, MAX_SIZE)):
        if value > most:
            yield name, str(value).encode()
    if entry.capability:
        yield f"SCHILY.xattr.{CAPABILITY}", entry.capability


def _record(name: str, value: bytes) -> bytes:
    """`LENGTH NAME=VALUE` and a newline, where the length counts its own digits."""
    rest = b" " + name.encode() + b"=" + value + b"\n"
    length = len(rest)
    while len(rest) + len(str(length)) != length:
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _block(entry: Entry, kind: bytes, path: bytes, target: bytes) -> bytes:
    before = [
        path[:MAX_TEXT].ljust(MAX_TEXT, b"\0"),
        b"%07o\0" % entry.mode,
        b"%07o\0" % _or_none(entry.uid, MAX_ID),
        b"%07o\0" % _or_none(entry.gid, MAX_ID),
        b"%011o\0" % _or_none(entry.size, MAX_SIZE),
        b"%011o\0" % entry.time,
    ]
    after = [
        kind,
        target[:MAX_TEXT].ljust(MAX_TEXT, b"\0"),
        b"ustar\x0000",
        # Names of owners, device, prefix, filling: nothing.
        b"\0" * (32 + 32 + 8 + 8 + 155 + 12),
    ]
    # The sum is taken with spaces in its own place.
    checksum = b"%06o\0 " % sum(b"".join([*before, b" " * 8, *after]))
    return b"".join([*before, checksum, *after])


def _or_none(value: int, most: int) -> int:
    return value if value <= most else 0


def _content(entry: Entry, root: Path) -> Iterator[bytes]:
    path = os.fsencode(root) + b"/" + entry.path
    digest, left = hashlib.sha256(), entry.size
    try:
        # A link in a file's place could lead out of the tree; a fifo would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _damaged(entry) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while left and (piece := file.read(min(left, CHUNK))):
            digest.update(piece)
            left -= len(piece)
            yield piece
        more = file.read(1)
    if left or more or digest.hexdigest() != entry.content.decode():
        raise _damaged(entry)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % BLOCK)


def _damaged(entry: Entry) -> Problem:
    return Problem(
        f"the stored image is damaged: /{os.fsdecode(entry.path)} is not what the image is named after",
        mend="remove it from the store and build it anew: bluestone build",
    )
