"""Lines as one piece of bytes: pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence

BY_NEWLINE, BY_LENGTH = b"\n", b"#"


def joined(lines: Sequence[bytes]) -> bytes:
    """Lines with newlines between them, or their lengths first if one has a newline."""
    content = b"\n".join((b"", *lines))
    if content.count(b"\n") == len(lines):
        return content
    return BY_LENGTH + struct.pack(f"<{len(lines)}I", *map(len, lines)) + b"".join(lines)


def parted(content: bytes, count: int) -> list[bytes]:
    """The lines again, given how many there are."""
    if content[:1] == BY_NEWLINE:
        return content[1:].split(b"\n")
    place, lines = 1 + 4 * count, []
    for length in struct.unpack_from(f"<{count}I", content, 1):
        lines.append(content[place : place + length])
        place += length
    return lines
