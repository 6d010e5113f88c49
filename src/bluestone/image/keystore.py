"""Java's store of the certificates that it trusts, in one form: entries by name, and of no day. Pure.

ca-certificates-java writes it when it is configured, each entry with the time of that. The format is Java's own (JKS,
version 2): sun.security.provider.JavaKeyStore in OpenJDK. It is sealed with a digest by a password, which here is the
one that everybody knows: it guards against damage, not against anybody.
"""

from __future__ import annotations

import hashlib
import struct

PASSWORD = "changeit"  # noqa: S105 - Java's own default, and public
MAGIC, VERSION, TRUSTED = 0xFEEDFEED, 2, 2
DIGEST = 20
WHITENER = b"Mighty Aphrodite"


def canonical(store: bytes, seconds: int) -> bytes:
    """The same store with all times at `seconds` since 1970; as it is if it is no such store of certificates alone."""
    body, digest = store[:-DIGEST], store[-DIGEST:]
    if len(store) < 12 + DIGEST or struct.unpack(">II", body[:8]) != (MAGIC, VERSION) or _seal(body) != digest:
        return store
    try:
        entries = _entries(body, struct.pack(">Q", seconds * 1000))
    except (ValueError, struct.error):
        return store
    made = body[:12] + b"".join(entry for _, entry in sorted(entries))
    return made + _seal(made)


def _entries(body: bytes, time: bytes) -> list[tuple[bytes, bytes]]:
    """The names of all entries, and the entries as of another time. Raises `ValueError` for what is no certificate."""
    (count,) = struct.unpack(">I", body[8:12])
    entries, place = [], 12
    for _ in range(count):
        head = body[place : place + 4]
        if struct.unpack(">I", head) != (TRUSTED,):
            raise ValueError("a key")
        name = _sized(body, place + 4, ">H")
        kind = _sized(body, place + 4 + len(name) + 8, ">H")
        certificate = _sized(body, place + 4 + len(name) + 8 + len(kind), ">I")
        entries.append((name[2:], head + name + time + kind + certificate))
        place += len(entries[-1][1])
    if place != len(body):
        raise ValueError("its end is somewhere else")
    return entries


def _sized(body: bytes, place: int, form: str) -> bytes:
    """A value and the size before it, beginning at a place."""
    begin = place + struct.calcsize(form)
    (size,) = struct.unpack(form, body[place:begin])
    if begin + size > len(body):
        raise ValueError("it ends too early")
    return body[place : begin + size]


def _seal(body: bytes) -> bytes:
    return hashlib.sha1(PASSWORD.encode("utf-16-be") + WHITENER + body, usedforsecurity=False).digest()
