"""Lays the files of packages into a tree, as dpkg would where nothing is yet."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection

from bluestone.image.builders.own.tar import DIRECTORY, FIFO, FILE, HARD_LINK, LINK, Member

UNREAD = (b"usr/share/locale/", b"usr/share/info/")
"""What no image holds (`lockdown.LEFT_OUT`), and no package's script asks for either."""

PRIVILEGED = stat.S_ISUID | stat.S_ISGID


def lay(members: Collection[Member], root: bytes) -> None:
    """Lay a package's members into the tree at `root`, which this process owns. What is there is replaced.

    A directory that is there already stays as it is, also if it is one by a link within the tree: as dpkg has it.
    Raises `ValueError` for a device, which no package may bring, and `OSError`.
    """
    before = os.umask(0)
    try:
        for member in members:
            if member.path and not member.path.startswith(UNREAD):
                _lay(member, root + b"/" + member.path, root)
    finally:
        os.umask(before)


def _lay(member: Member, place: bytes, root: bytes) -> None:
    if member.kind == DIRECTORY:
        if not os.path.isdir(place):
            os.mkdir(place, member.mode)
            _settle(member, place)
        return
    if member.kind == FILE:
        _write(member, place)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place)
    if member.kind == LINK:
        os.symlink(member.target, place)
        if member.uid or member.gid:
            os.lchown(place, member.uid, member.gid)
    elif member.kind == HARD_LINK:
        os.link(root + b"/" + member.target, place, follow_symlinks=False)
    elif member.kind == FIFO:
        os.mkfifo(place, member.mode)
        _settle(member, place)
    else:
        raise ValueError(f"a device: {member.path!r}")


def _write(member: Member, place: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(place, flags, member.mode)
    except FileExistsError:
        os.unlink(place)
        descriptor = os.open(place, flags, member.mode)
    try:
        rest = member.content
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if member.uid or member.gid:
            os.fchown(descriptor, member.uid, member.gid)
        if member.mode & PRIVILEGED:
            os.fchmod(descriptor, member.mode)  # Writing and a new owner take these away.
        os.utime(descriptor, (member.time, member.time))
    finally:
        os.close(descriptor)


def _settle(member: Member, place: bytes) -> None:
    if member.uid or member.gid:
        os.chown(place, member.uid, member.gid)
    if member.mode & PRIVILEGED:
        os.chmod(place, member.mode)
