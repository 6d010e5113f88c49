"""Names and digests."""

from __future__ import annotations

import re
from typing import NewType

Digest = NewType("Digest", str)
"""`sha256:` and 64 hexadecimal digits. An image is named by the digest of its content."""

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
"""A project's or group's name: what a host name, a label and a file name all allow."""

MAX_NAME = 24
"""Longest project or group name, in characters: a server's name must fit into a host name's 63."""


def short(digest: str) -> str:
    """The first 8 hexadecimal digits of a digest, as people read it."""
    return digest.removeprefix("sha256:")[:8]


def server_name(group: str, slot: int, image: str, incarnation: int) -> str:
    """A server's name, such as `web-2-1f3a9c0d-17`; never used twice, since its logs outlive it."""
    return f"{group}-{slot}-{short(image)}-{incarnation}"


def slot_name(server: str) -> str:
    """The group and slot in a server's name: `web-2` of `web-2-1f3a9c0d-17`."""
    return server.rsplit("-", 2)[0]
