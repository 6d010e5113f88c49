"""Reads the tar of a package's files, as dpkg-deb writes it (tar(5): ustar with GNU's or POSIX's long names)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

BLOCK = 512
FILE, HARD_LINK, LINK, DIRECTORY, FIFO = b"0", b"1", b"2", b"5", b"6"
KINDS = {b"\0": FILE, b"7": FILE}
LONG_LINK, LONG_NAME, POSIX = b"K", b"L", b"x"


class Member(NamedTuple):
    """One path: `path` and a hard link's `target` are relative to the root; `time` in seconds."""

    path: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    time: int
    target: bytes
    content: memoryview


def read(data: memoryview) -> Iterator[Member]:
    """The members of a tar. Raises `ValueError` for a damaged one, and for a path that leads out of the root."""
    place, name, link = 0, b"", b""
    while place + BLOCK <= data.nbytes:
        header = bytes(data[place : place + BLOCK])
        if not header[0]:
            return
        if sum(header) - sum(header[148:156]) + 8 * 32 != _number(header[148:156]):
            raise ValueError("the tar is damaged")
        size = _number(header[124:136])
        place += BLOCK
        content = data[place : place + size]
        if content.nbytes != size:
            raise ValueError("the tar ends too early")
        place += (size + BLOCK - 1) // BLOCK * BLOCK
        kind = header[156:157]
        if kind == LONG_NAME:
            name = _text(bytes(content))
        elif kind == LONG_LINK:
            link = _text(bytes(content))
        elif kind == POSIX:
            known = _records(bytes(content))
            name, link = known.get(b"path", name), known.get(b"linkpath", link)
        elif kind != b"g":
            kind = KINDS.get(kind, kind)
            target = link or _text(header[157:257])
            yield Member(
                _inside(name or _name(header)),
                kind,
                _number(header[100:108]) & 0o7777,
                _number(header[108:116]),
                _number(header[116:124]),
                _number(header[136:148]),
                _inside(target) if kind == HARD_LINK else target,
                content,
            )
            name, link = b"", b""


def _name(header: bytes) -> bytes:
    name = _text(header[:100])
    # GNU's own format has other things where POSIX's has the beginning of the name.
    if header[257:263] == b"ustar\0" and header[345]:
        return _text(header[345:500]) + b"/" + name
    return name


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
    return int(field.strip(b" \0") or b"0", 8)


def _records(content: bytes) -> dict[bytes, bytes]:
    """The records of a POSIX header: `LENGTH NAME=VALUE` and a new line, each."""
    records = {}
    while content:
        length = int(content.partition(b" ")[0])
        name, _, value = content[:length].partition(b" ")[2].rstrip(b"\n").partition(b"=")
        records[name] = value
        content = content[length:]
    return records


def _inside(path: bytes) -> bytes:
    """A path without what is before its first name. Raises `ValueError`."""
    clean = path.lstrip(b"/")
    while clean.startswith(b"./"):
        clean = clean[2:].lstrip(b"/")
    clean = b"" if clean == b"." else clean.rstrip(b"/")
    if b".." in clean and b".." in clean.split(b"/"):
        raise ValueError(f"a path leads out of the root: {path!r}")
    return clean
