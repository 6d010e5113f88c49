"""Semantic versions (semver.org 2.0.0, 11): npm's and crates'. Pure."""

from __future__ import annotations

import re
from typing import TypeAlias

LONGEST = 256
"""Characters, as npm has it."""

_NUMBER = r"(0|[1-9]\d*)"
_PART = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PART}(?:\.{_PART})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?", re.ASCII
)

Key: TypeAlias = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def key(version: str) -> Key:
    """What a version compares by; what is after `+` does not count. Raises `ValueError` for what is no version.

    npm's registry has versions with a `v` or `=` in front, which are taken without it.
    """
    match = _VERSION.fullmatch(version.strip().lstrip("=v")) if len(version) <= LONGEST else None
    if match is None:
        raise ValueError(f"{version[:80]!r} is no semantic version")
    major, minor, patch, before = match.groups()
    parts = before.split(".") if before else ()
    # A version comes after what was before it; of parts, numbers come first.
    return int(major), int(minor), int(patch), not before, tuple(_part(part) for part in parts)


def _part(text: str) -> tuple[bool, int, str]:
    return (False, int(text), "") if text.isdigit() else (True, 0, text)
