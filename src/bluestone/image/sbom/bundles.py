"""Tar and zip archives that no package owns: what a server unpacks when it starts, and the Java archives in them.

Tar is read by Python's own `tarfile`, as a stream that ends at the budget: what somebody packed without end is not
unpacked without end.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable
from io import RawIOBase
from typing import IO, cast

from bluestone.image.sbom import java
from bluestone.image.sbom.archive import Damaged, ReadAt, Zip
from bluestone.image.sbom.java import BUDGET, LARGEST_ARCHIVE, MOST_ARCHIVES, SUFFIXES, Found
from bluestone.image.sbom.place import Place
from bluestone.model.bom import Unidentified

ZIP = ".zip"
ENDS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ZIP)

MOST_MEMBERS = 500_000
"""Members of one archive that are looked at at most; as of a zip."""

_PACKED: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    b"\xfd7zXZ\0": lambda file: cast(IO[bytes], lzma.LZMAFile(file)),  # noqa: SIM115 - the caller has it open
    b"BZh": lambda file: cast(IO[bytes], bz2.BZ2File(file)),
}
_MAGIC = 265
"""Bytes up to where a tar archive says that it is one, and that word."""

_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, OverflowError)
"""What Python's own readers raise for archives that are cut or damaged."""


def is_bundle(name: str) -> bool:
    """Whether a file is called like such an archive."""
    return name.lower().endswith(ENDS)


def catalogue(place: Place, read: ReadAt, size: int) -> Found:
    """The Java archives in a file of `size` bytes. It is none itself: its name says nothing of what it is.

    A file that is only called like an archive has nothing in it; one that is cut may have anything.
    """
    found = Found()
    try:
        if place.name.lower().endswith(ZIP):
            if read(0, 2) == b"PK":
                java.within(place, Zip(read, size), found, 0)
        else:
            _look(place, read, size, found)
    except Damaged as error:
        found.unidentified.append(Unidentified(place.path, str(error), place.owner))
    return found


def _look(place: Place, read: ReadAt, size: int, found: Found) -> None:
    """Raises `Damaged`."""
    unpacked = next((by for magic, by in _PACKED.items() if read(0, len(magic)) == magic), None)
    if unpacked is None and read(_MAGIC - 8, 5) != b"ustar":
        return
    file = cast(IO[bytes], _Slice(read, size))
    stream = _Within(unpacked(file) if unpacked else file, found)
    try:
        tar = tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|")  # noqa: SIM115 - closing it reads nothing more
    except tarfile.ReadError as error:
        if stream.failed:
            raise Damaged(f"it is cut short or damaged: {error}") from error
        return  # Something else was packed.
    except _BROKEN as error:
        raise _damaged(error) from error
    try:
        for number, member in enumerate(tar):
            if number >= MOST_MEMBERS or found.archives >= MOST_ARCHIVES:
                raise Damaged("there are too many files in it")
            tar.members = []  # type: ignore[attr-defined]  # Else it keeps them all.
            if member.isreg() and member.name.lower().endswith(SUFFIXES):
                found.archives += 1
                _member(place.within(member.name.removeprefix("./")), tar, member, found)
    except _BROKEN as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> Damaged:
    return error if isinstance(error, Damaged) else Damaged(f"it is cut short or damaged: {error}")


def _member(place: Place, tar: tarfile.TarFile, member: tarfile.TarInfo, found: Found) -> None:
    file = tar.extractfile(member) if member.size <= LARGEST_ARCHIVE else None
    if file is None:
        reason = f"it has more than {LARGEST_ARCHIVE} bytes"
        found.unidentified.append(Unidentified(place.path, reason, place.owner))
        return
    data = file.read()
    if len(data) < member.size:
        raise EOFError("its end is missing")
    java.look(place, lambda offset, length: data[offset : offset + length], len(data), found, 1)


class _Within:
    """A stream whose bytes are at the expense of the budget. Raises `Damaged` when that is spent."""

    def __init__(self, file: IO[bytes], found: Found) -> None:
        self._file = file
        self._found = found
        self.failed = False

    def read(self, length: int) -> bytes:
        """The next bytes."""
        try:
            data = self._file.read(length)
        except _BROKEN:
            self.failed = True
            raise
        self._found.budget -= len(data)
        if self._found.budget < 0:
            raise Damaged(f"more than {BUDGET >> 20} MiB would be unpacked")
        return data


class _Slice(RawIOBase):
    """A file, from its beginning on, by reads at any place."""

    def __init__(self, read: ReadAt, size: int) -> None:
        self._read = read
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def read(self, length: int = -1) -> bytes:
        rest = self._size - self._at
        data = self._read(self._at, rest if length < 0 else min(length, rest))
        self._at += len(data)
        return data
