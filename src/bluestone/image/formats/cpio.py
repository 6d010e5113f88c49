"""Writes a cpio archive in the "newc" format, which the kernel unpacks its first file system from. Pure.

The format: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable

from msgspec import Struct

from bluestone.image.normalise import EPOCH

TRAILER = "TRAILER!!!"
BLOCK = 512


class Node(Struct, frozen=True):
    """One path of an archive, without a leading `/`; `mode` has the kind in it, as in stat(2). All belong to root.

    `content` is a file's, or a link's target; `device` the major and minor number of a device.
    """

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str, mode: int = 0o755) -> Node:
    """A directory."""
    return Node(path, stat.S_IFDIR | mode)


def file(path: str, content: bytes, mode: int = 0o644) -> Node:
    """A regular file."""
    return Node(path, stat.S_IFREG | mode, content)


def link(path: str, target: str) -> Node:
    """A symbolic link."""
    return Node(path, stat.S_IFLNK | 0o777, target.encode())


def archive(nodes: Iterable[Node]) -> bytes:
    """The archive of these paths, sorted, with the directories above them; of two with one path, the later."""
    known = {node.path: node for node in nodes}
    for path in list(known):
        for above in _above(path):
            known.setdefault(above, directory(above))
    members = [_member(known[path], number) for number, path in enumerate(sorted(known), start=1)]
    content = b"".join([*members, _member(Node(TRAILER, 0), 0)])
    return content.ljust(-(-len(content) // BLOCK) * BLOCK, b"\0")


def _above(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _member(node: Node, number: int) -> bytes:
    name = node.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(node.mode) else 1
    time = EPOCH if node.mode else 0
    fields = (number, node.mode, 0, 0, links, time, len(node.content), 0, 0, *node.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(node.content)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 4)
