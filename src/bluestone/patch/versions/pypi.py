"""Python's order of versions, as the packaging library has it. Pure."""

from __future__ import annotations

from packaging.version import Version

LONGEST = 256
"""Characters."""


def key(version: str) -> Version:
    """What a version compares by. Raises `ValueError` for what is none, as versions of before 2014 may be."""
    if len(version) > LONGEST:
        raise ValueError(f"{version[:80]!r} is too long for a version")
    return Version(version)
