"""dpkg's database of packages, written as dpkg leaves it once it has unpacked them (dpkg(1), deb-triggers(5))."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bluestone.image.builders.own.archive import Plain
from bluestone.image.builders.own.tar import FILE, Member

DIRECTORIES = ("alternatives", "info", "parts", "triggers", "updates")
NEW_LINE = "\n"
MD5 = 32
"""Digits of an MD5, by which dpkg knows configuration files."""

_EMPTY = re.compile(r"^Conffiles:\n(?! )", re.MULTILINE)


def write(admin: Path, packages: Sequence[tuple[Plain, Sequence[Member]]]) -> None:
    """Write the database of packages, and what is in them, to an empty directory `admin`; none is configured yet.

    Raises `ValueError` for a package that names a configuration file which it does not
    have, and `OSError`.
    """
    for name in DIRECTORIES:
        (admin / name).mkdir(exist_ok=True)
    (admin / "info/format").write_text("1\n")
    for plain, members in packages:
        for name, (mode, content) in plain.control.items():
            file = admin / f"info/{plain.stem}.{name}"
            file.write_bytes(content)
            file.chmod(mode)
        (admin / f"info/{plain.stem}.list").write_bytes(listing(members))
        if "md5sums" not in plain.control:
            (admin / f"info/{plain.stem}.md5sums").write_bytes(md5sums(members))
    (admin / "status").write_text("".join(stanza(plain, members) for plain, members in packages))
    (admin / "available").touch()
    for name, lines in interests(plain for plain, _ in packages).items():
        (admin / f"triggers/{name}").write_text("".join(f"{line}\n" for line in lines))
    (admin / "triggers/Unincorp").touch()


def listing(members: Iterable[Member]) -> bytes:
    """The paths of a package: its `.list`."""
    return b"".join(b"/%s\n" % (member.path or b".") for member in members)


def md5sums(members: Iterable[Member]) -> bytes:
    """The `.md5sums` of a package that brings none."""
    lines = [f"{md5(member.content)}  ".encode() + member.path + b"\n" for member in members if member.kind == FILE]
    return b"".join(lines)


def md5(content: bytes | memoryview) -> str:
    """The MD5 by which dpkg knows a file: against accidents, not against anybody."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def stanza(plain: Plain, members: Iterable[Member]) -> str:
    """A package as the status has it when it is unpacked and its configuration files are laid."""
    fields = {"Package": plain.name, "Status": "install ok unpacked", **plain.fields}
    if conffiles := conffiles_of(plain):
        contents = {b"/" + member.path: member.content for member in members if member.kind == FILE}
        if missing := [path for path in conffiles if path.encode() not in contents]:
            raise ValueError(f"{plain.name} does not have its configuration file {missing[0]}")
        fields["Conffiles"] = "".join(f"\n {path} {md5(contents[path.encode()])}" for path in conffiles)
    lines = [f"{name}:{'' if value[:1] == NEW_LINE else ' '}{value}\n" for name, value in fields.items()]
    return "".join(lines) + "\n"


def conffiles_of(plain: Plain) -> list[str]:
    """The configuration files that a package brings (deb-conffiles(5))."""
    lines = plain.control.get("conffiles", (0, b""))[1].decode().splitlines()
    # A line with a flag before the path names one that the package no longer brings.
    return [line.strip() for line in lines if line.startswith("/")]


def interests(packages: Iterable[Plain]) -> dict[str, list[str]]:
    """The lines of the files below `triggers`, by name: who is interested in what (deb-triggers(5))."""
    found: dict[str, list[str]] = {"File": []}
    for plain in packages:
        for line in plain.control.get("triggers", (0, b""))[1].decode().splitlines():
            words = line.partition("#")[0].split()
            if len(words) != 2 or not words[0].startswith("interest"):
                continue
            who = plain.stem + ("/noawait" if words[0].endswith("-noawait") else "")
            if words[1].startswith("/"):
                found["File"].append(f"{words[1]} {who}")
            else:
                found.setdefault(words[1], []).append(who)
    return found


def without_obsolete(status: str) -> tuple[str, list[str]]:
    """A status without the configuration files that packages once brought and no longer do; and their paths."""
    kept, gone = [], []
    for line in status.splitlines(keepends=True):
        words = line.split()
        if line.startswith(" /") and len(words) == 3 and words[2] == "obsolete" and len(words[1]) == MD5:
            gone.append(words[0])
        else:
            kept.append(line)
    text = "".join(kept)
    return _EMPTY.sub("", text), gone
