"""What a terminal or a serial console carries, as plain text."""

from __future__ import annotations

import re

NOISE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # commands to the terminal's system
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f]"
)
"""Escape sequences (ECMA-48) and control characters with which firmware and systemd decorate a console."""


def plain(line: str) -> str:
    """A line without decoration, and without space at its end."""
    return NOISE.sub("", line).rstrip()


def plain_lines(content: bytes) -> list[str]:
    """What a console shows, line by line, without the empty ones."""
    text = content.decode(errors="replace").replace("\r", "\n")
    return [line for line in map(plain, text.split("\n")) if line]
