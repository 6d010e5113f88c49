"""Debian's order of versions (deb-version(7)), as keys of bytes: they compare as the versions do, by memcmp too. Pure.

In an upstream version or a revision, parts without digits and numbers alternate. Of a part without digits, `~` comes
before its end, which comes before letters, which come before all else; numbers compare by value, and none is 0.
"""

from __future__ import annotations

import re

TILDE, END = 1, 2
_OTHERS = 0x80
"""What is added to a character that is neither letter nor `~`, so that it comes after all letters."""

LONGEST = 4096
"""Characters of a version that are looked at; the archive's longest has some 60."""

_VERSION = re.compile(r"(?:(\d+):([!-~]+?)|([!-9;-~]+?))(?:-([!-,.-~]*))?")
"""Epoch, upstream version and revision. Without an epoch there is no colon."""
_PARTS = re.compile(rb"([^0-9]*)([0-9]*)")
_ORDER = bytes(TILDE if c == 0x7E else c if chr(c).isalpha() and c < 0x80 else (c + _OTHERS) & 0xFF for c in range(256))
_LONG = 0xFF
"""Stands in the place of the count of a number's digits, where these are too many for a byte."""


def key(version: str) -> bytes:
    """What a version compares by. Raises `ValueError` for what is no version."""
    match = _VERSION.fullmatch(version) if version.isascii() and len(version) <= LONGEST else None
    if match is None:
        raise ValueError(f"{version[:80]!r} is no version of a Debian package")
    epoch, after_epoch, alone, revision = match.groups(default="")
    return _number(epoch.encode()) + _fragment((after_epoch or alone).encode()) + _fragment(revision.encode())


def _fragment(text: bytes) -> bytes:
    """The key of an upstream version or a revision; an empty one is as `0`."""
    out = bytearray()
    for index, (plain, digits) in enumerate(_PARTS.findall(text)):
        if index and not plain and not digits:
            break  # the end, which the pattern finds as well
        out += plain.translate(_ORDER)
        out.append(END)
        out += _number(digits)
    out.append(END)
    return bytes(out)


def _number(digits: bytes) -> bytes:
    """The longer number is the greater one, once zeros in front are gone."""
    digits = digits.lstrip(b"0")
    if len(digits) < _LONG:
        return bytes((len(digits),)) + digits
    return bytes((_LONG,)) + len(digits).to_bytes(4, "big") + digits
