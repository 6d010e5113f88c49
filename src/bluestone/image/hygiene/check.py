"""Looks over a finished tree for what must not be in an image.

The manifest is the walk. Permissions, accounts and enabled units are looked at in all of it; contents only of what is
not as the packages brought it. The process must own the tree.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from bluestone.image.hygiene import logins
from bluestone.image.hygiene.finding import Finding
from bluestone.image.hygiene.modes import OTHERS_WRITE, SET_GROUP, SET_USER, modes
from bluestone.image.hygiene.secrets import secrets
from bluestone.image.tree import Entry

LARGEST = 8 << 20
"""Bytes at the beginning of a file that are looked at."""

_ACCOUNTS = (b"etc/passwd", b"etc/shadow")


def check(root: Path, manifest: str, changed: Collection[bytes]) -> list[Finding]:
    """What must not be in the tree at `root` (see `image.tree` for its manifest), in the order of paths.

    `changed` are the paths, relative to the root, that are not as the packages alone have them. Raises `OSError` for
    what cannot be read.
    """
    base = os.fsencode(root)
    found: list[Finding] = []
    doors: list[Entry] = []
    for line in manifest.splitlines():
        path = _path(line)
        is_changed = path in changed
        if logins.interesting(path):
            doors.append(Entry.parse(line))
        if is_changed or _may_give(line):
            entry = Entry.parse(line)
            found += modes(entry, changed=is_changed)
            if is_changed and entry.kind == "file":
                found += _content(base, path)
    found += logins.doors(doors)
    found += logins.accounts(*(_read(base, path).decode(errors="replace") for path in _ACCOUNTS))
    return sorted(found, key=lambda each: (each.path, each.kind, each.why))


def _content(base: bytes, path: bytes) -> Iterator[Finding]:
    content = _read(base, path)
    where = f"/{path.decode('utf-8', 'surrogateescape')}"
    for what in secrets(where, content):
        mend = "take it out, and have it replaced, since it was seen; hand it to servers by servers.NAME.secrets"
        yield Finding("secret", where, what, mend)
    yield from logins.in_file(path, content)


def _path(line: str) -> bytes:
    path = line.rpartition(" ")[2]
    # Most lines: parsing them in full would take most of the time.
    return unquote_to_bytes(path) if "%" in path else path.encode()


def _may_give(line: str) -> bool:
    """Whether `modes` may have something to say of a line that is as the packages brought it."""
    kind, mode, _ = line.split(" ", 2)
    return kind != "link" and bool(int(mode, 8) & (OTHERS_WRITE | SET_USER | SET_GROUP))


def _read(base: bytes, path: bytes) -> bytes:
    """The beginning of a file; nothing of one that is not there. No link is followed."""
    try:
        descriptor = os.open(base + b"/" + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read(LARGEST)
