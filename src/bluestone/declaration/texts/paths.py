"""Paths, whose they are, and their modes. Each reader returns the text as the model wants it, or raises `Fault`."""

from __future__ import annotations

import re
from posixpath import normpath

from bluestone.declaration.fault import Fault, quoted
from bluestone.declaration.texts.matching import matching, printable
from bluestone.declaration.texts.systemd import UNIT_PATTERN

OWNER = r"^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9})(:([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9}))?$"
MODE = r"^(0o)?[0-7]{3,4}$"
MAX_PATH = 1024
"""Longest path, in characters; the kernel takes 4096 bytes (PATH_MAX in limits.h)."""
ABSOLUTE = "^/"
VOLUME_PATH = r"^/[A-Za-z0-9._+@=/-]+$"
"""A path that no program between here and the server takes for a pattern, or for a path and options."""
WAIVED = r"^/[^*?/]+(/|$)"
"""A path whose first directory is named: a waiver for everything would be none."""
MOUNTED_AT_START = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run")  # noqa: S108 - names, nothing is opened
"""Where something else is mounted when a server starts: what an image has there is never seen."""
NEEDED_FROM_IMAGE = ("/", "/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/var", "/var/lib")
"""Directories so large, or so needed as they are, that none of them can be held in memory and written to."""


def target(text: str) -> str:
    """Where a file is laid on the server: an absolute path."""
    path = absolute(text)
    for mount in MOUNTED_AT_START:
        if below(path, mount):
            raise Fault(f"a file in {mount} is hidden as soon as the server starts", "choose another place")
    return text


def writable(text: str) -> str:
    """A directory that is in memory on the server."""
    path = absolute(text)
    if path in NEEDED_FROM_IMAGE:
        raise Fault(
            f"{path} cannot be writable: it is what makes the server immutable",
            "name the directories below it that a program writes to",
        )
    for mount in MOUNTED_AT_START:
        if below(path, mount):
            raise Fault(f"{path} is no part of the image: {mount} is mounted at the start", "leave it out")
    return path


def volume_path(text: str) -> str:
    """A directory of the server that is on a volume."""
    path = absolute(text)
    if path in NEEDED_FROM_IMAGE:
        raise Fault(
            f"{path} cannot be on a volume: what it holds comes from the image",
            "name the directory below it that a program writes to",
        )
    for mount in MOUNTED_AT_START:
        if below(path, mount):
            raise Fault(f"{path} cannot be on a volume: {mount} is mounted at the start", "choose another directory")
    return matching(VOLUME_PATH, path, "a path for a volume", "use letters, digits and . _ + @ = - only")


def waived(text: str) -> str:
    """The path of a waiver, perhaps with `*`, `?` and `**`."""
    path = absolute(text)
    if not re.match(WAIVED, path):
        raise Fault(
            f"{quoted(text)} would waive what nobody has looked at",
            'name the directory at least, such as "/opt/tool/**", or better the file',
        )
    return path


def may_differ(text: str) -> str:
    """A path or a unit, perhaps with wildcards, that may differ on a server from what the image says."""
    if not text.startswith("/"):
        mend = 'write a path such as "/tmp/jna-*", or a unit such as "flaky.service"'
        return matching(UNIT_PATTERN, text, "a path or a unit", mend)
    path = absolute(text)
    if not re.match(WAIVED, path):
        raise Fault(
            f"{quoted(text)} would have nearly everything differ unnoticed",
            'name the directory at least, such as "/opt/tool/**", or better the file',
        )
    return path


def source(text: str) -> str:
    """A path on this machine, not looked at yet."""
    if not text.strip() or not printable(text):
        raise Fault(f"{quoted(text)} is not a path", "name a file or directory beside the declaration")
    return text


def within(text: str) -> str:
    """A path below a directory that is named beside it."""
    if text.startswith("/") or ".." in text.split("/") or not text.strip() or not printable(text):
        raise Fault(f"{quoted(text)} is not a path below the directory", "write it relative to the directory")
    return normpath(text)


def owner(text: str) -> str:
    """`user` or `user:group`, by name or number."""
    return matching(OWNER, text, "an owner", 'write "user" or "user:group", such as "www-data:www-data"')


def mode(text: str) -> int:
    """A file's permissions, in octal."""
    return int(matching(MODE, text, "a file's mode", 'write it in octal, such as "0644"'), 8)


def normal(path: str) -> str:
    """An absolute path without what does not change its meaning: `/etc//motd/` is `/etc/motd`."""
    return "/" + normpath(path).lstrip("/")


def absolute(text: str) -> str:
    """The text, if it is a path from the root without steps back. Raises `Fault`."""
    if not text.startswith("/"):
        raise Fault(f"{quoted(text)} is not an absolute path", f'begin with "/": "/{text}"')
    if len(text) > MAX_PATH:
        raise Fault(f"{quoted(text)} is too long for a path", f"use at most {MAX_PATH} characters")
    if ".." in text.split("/"):
        raise Fault(f'{quoted(text)} has ".." in it', "write the path that is meant")
    if not printable(text):
        raise Fault(f"{quoted(text)} has a control character in it", "write a path without")
    return normal(text)


def below(path: str, directory: str) -> bool:
    """Whether a path is a directory, or below it."""
    return path == directory or path.startswith(directory + "/")
