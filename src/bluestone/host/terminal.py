"""What a terminal or a serial console carries, as plain text."""

from __future__ import annotations

import re

NOISE = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()]?[0-9A-Za-z=>]|[\x00-\x08\x0b-\x1f\x7f]")
"""Escape sequences (ECMA-48) and control characters with which firmware and systemd decorate a console."""


def plain(line: str) -> str:
    """A line without decoration, and without space at its end."""
    return NOISE.sub("", line).rstrip()


def plain_lines(content: bytes) -> list[str]:
    """What a console shows, line by line, without the empty ones."""
    text = content.decode(errors="replace").replace("\r", "\n")
    return [line for line in map(plain, text.split("\n")) if line]
