"""A .deb, and the same package in plain form: its members not compressed, so that it is decompressed once in its life.

A plain package is a .deb still (deb(5)), which dpkg reads like any other. Its last member, whose name begins with `_`
and which dpkg therefore ignores, is the SHA-256 of all that is before it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

from msgspec import Struct

from bluestone.model.problem import Problem

MAGIC = b"!<arch>\n"
SEAL = "_sha256"
HEADER = 60
CHUNK = 1 << 20
LIMIT = 600.0
"""Seconds that decompressing one package may take."""


class Plain(Struct, frozen=True):
    """A plain package: its control file's fields in their order, the other control files, and its tar of files.

    A field's value begins after the colon, and may have several lines. Control files are by name, each with its mode.
    """

    path: Path
    fields: dict[str, str]
    control: dict[str, tuple[int, bytes]]
    data: memoryview

    @property
    def name(self) -> str:
        """The package's name."""
        return self.fields["Package"]

    @property
    def key(self) -> str:
        """`name:architecture`, as a lock has it."""
        return f"{self.name}:{self.fields['Architecture']}"

    @property
    def stem(self) -> str:
        """What dpkg calls it where that must be unambiguous: with its architecture if it can be there for several."""
        return self.key if self.fields.get("Multi-Arch") == "same" else self.name


def write_plain(deb: Path, plain: Path) -> None:
    """Write the plain form of a .deb to a new file. Raises `Problem` for what is no whole package, and `OSError`."""
    with plain.open("w+b") as file:
        file.write(MAGIC)
        _member(file, "debian-binary", BytesIO(b"2.0\n"))
        for name, option in (("control.tar", "--ctrl-tarfile"), ("data.tar", "--fsys-tarfile")):
            with subprocess.Popen(
                ["dpkg-deb", option, str(deb)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                _member(file, name, process.stdout)
                said = process.stderr.read()
            if process.returncode:
                raise Problem(
                    f"{deb.name} is no whole Debian package: {said.decode(errors='replace').strip()}",
                    mend="remove it from the package store, and build again",
                )
        file.seek(0)
        seal = hashlib.file_digest(file, "sha256").hexdigest().encode()
        file.seek(0, os.SEEK_END)
        _member(file, SEAL, BytesIO(seal))


def read_plain(path: Path) -> Plain | None:
    """A plain package; None for a file that is not what was once written, or of what was never a package."""
    try:
        members, whole = _members(path)
        seal = members[SEAL]
        before = seal.nbytes + HEADER
        if hashlib.sha256(whole[: whole.nbytes - before]).hexdigest().encode() != bytes(seal):
            return None
        files = _control(members["control.tar"])
        _, text = files.pop("control")
        return Plain(path, parse_fields(text.decode()), files, members["data.tar"])
    except (OSError, ValueError, KeyError, tarfile.TarError):
        return None


def _control(content: memoryview) -> dict[str, tuple[int, bytes]]:
    """The control files of a package, each with its mode. Raises `ValueError` for one that is not at the top."""
    files = {}
    with tarfile.open(fileobj=BytesIO(content), mode="r:") as tar:
        for each in tar:
            name = each.name.removeprefix("./")
            file = tar.extractfile(each) if each.isreg() else None
            if file is not None:
                if "/" in name:
                    raise ValueError(f"a control file in a directory: {name}")
                files[name] = (each.mode, file.read())
    return files


def parse_fields(text: str) -> dict[str, str]:
    """The fields of one stanza (deb-control(5)), each with all of its lines."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith((" ", "\t")):
            fields[name] += f"\n{line}"
        elif line.strip():
            name, _, value = line.partition(":")
            fields[name] = value.lstrip()
    # At the end of a line within a value, dpkg keeps what is not seen.
    return {name: value.rstrip() for name, value in fields.items()}


def _member(file: IO[bytes], name: str, content: IO[bytes]) -> None:
    """Append a member to an archive (ar(5)), its size found out on the way."""
    start = file.tell()
    file.write(b" " * HEADER)
    size = 0
    while chunk := content.read(CHUNK):
        size += file.write(chunk)
    if size % 2:
        file.write(b"\n")
    end = file.tell()
    file.seek(start)
    file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{size:<10}`\n".encode())
    file.seek(end)


def _members(path: Path) -> tuple[dict[str, memoryview], memoryview]:
    """The members of an archive by name, and the whole of it. Raises `ValueError` for a damaged one."""
    with path.open("rb") as file:
        whole = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    return dict(_each(whole)), whole


def _each(whole: memoryview) -> Iterator[tuple[str, memoryview]]:
    place = len(MAGIC)
    if bytes(whole[:place]) != MAGIC:
        raise ValueError("no archive")
    while place < whole.nbytes:
        header = bytes(whole[place : place + HEADER])
        size = int(header[48:58])
        place += HEADER
        if place + size > whole.nbytes:
            raise ValueError("the archive ends too early")
        yield header[:16].decode("ascii").strip(), whole[place : place + size]
        place += size + size % 2
