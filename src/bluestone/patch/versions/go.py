"""Versions of Go's modules and toolchain: semantic versions (go.dev/ref/mod#versions), written in Go's ways. Pure."""

from __future__ import annotations

import re

from bluestone.patch.versions import semantic

_TOOLCHAIN = re.compile(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?(?:(beta|rc)(\d+))?(?:[ -].*)?", re.ASCII)
"""`go1.22rc1`, `1.21.0`; what is after a space or `-` says who built it."""


def key(version: str) -> semantic.Key:
    """What a version compares by: `v1.2.3`, a pseudo-version, `+incompatible`, or a toolchain's `go1.22rc1`.

    Raises `ValueError` for what is none: the linker writes `(devel)` where it does not know one.
    """
    try:
        return semantic.key(version)
    except ValueError:
        match = _TOOLCHAIN.fullmatch(version) if len(version) <= semantic.LONGEST else None
        if match is None:
            raise ValueError(f"{version[:80]!r} is no version of a Go module") from None
    major, minor, patch, stage, number = match.groups()
    before = f"-{stage}.{int(number)}" if stage else ""
    return semantic.key(f"{int(major)}.{int(minor)}.{int(patch or 0)}{before}")
