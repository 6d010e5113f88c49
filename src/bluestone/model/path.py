"""Paths on a server: patterns of them, and as text for a person."""

from __future__ import annotations

import re
from functools import cache


@cache
def pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` match within one directory, `**` at any depth; `/x/**` covers all below `/x`."""
    parts = re.split(r"(\*\*|\*|\?)", glob)
    meaning = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part) or re.escape(part) for part in parts), re.DOTALL)


def shown(path: str) -> str:
    """A path as text that is printable, whatever its bytes are."""
    text = path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
