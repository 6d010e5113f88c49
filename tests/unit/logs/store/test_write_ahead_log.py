"""Frames hold lines as they came, and those of former versions are read."""

import zlib
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.store import wal
from bluestone.logs.store.joining import joined, parted
from bluestone.logs.store.wal import HEADER, MAGIC, Share, Stored

LINES = st.lists(st.binary(max_size=30), min_size=1, max_size=8)


@given(LINES)
def test_what_was_joined_is_parted_again(lines: list[bytes]) -> None:
    assert parted(joined(lines), len(lines)) == lines


def share(server: int, lines: list[Stored]) -> Share:
    return Share(server, len(lines), len(lines), None, min(line.at for line in lines), max(line.at for line in lines))


def former(shares: list[Share], lines: list[list[Stored]]) -> bytes:
    """A frame as it was written when lines were encoded one by one."""
    digest, body = msgspec.msgpack.encode(shares), msgspec.msgpack.encode(lines)
    return HEADER.pack(MAGIC, len(digest), zlib.crc32(digest), len(body), zlib.crc32(body)) + digest + body


def test_frames_of_both_kinds_stand_in_one_file(tmp_path: Path) -> None:
    lines = [[Stored(5, b'{"a":1}'), Stored(-3, b"")], [Stored(1 << 60, b"two\nlines")]]
    shares = [share(7, lines[0]), share(9, lines[1])]
    path = wal.path_of(tmp_path, 1)
    path.write_bytes(former(shares, lines) + wal.encode(shares, lines))
    reader = wal.Reader(path)
    read = [(frame.shares, [found for _, found in frame.lines()]) for frame in reader.frames()]
    assert read == [(shares, lines)] * 2
    assert reader.whole() == (path.stat().st_size, [])
    reader.close()
