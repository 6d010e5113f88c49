"""Units of systemd, commands, and ways to log in."""

from __future__ import annotations

import re

from bluestone.declaration.fault import Fault, quoted
from bluestone.declaration.texts.matching import matching

UNIT_SUFFIXES = ("service", "socket", "timer", "path", "target", "mount", "automount", "swap", "slice")
"""Kinds of units that can be enabled (systemd.unit(5))."""
UNIT = r"^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.(" + "|".join(UNIT_SUFFIXES) + ")$"
UNIT_PATTERN = r"^[A-Za-z0-9:_.@*?-]+\.(service|socket|timer|path|mount|target|swap|scope|slice|device|automount)$"
"""A unit's name, perhaps with wildcards."""
_LOGIN_UNIT = re.compile(r"(.*getty@?.*|debug-shell|rescue|emergency|sshd?(@.*)?|dropbear(@.*)?)\.[a-z]+")


def unit(text: str) -> str:
    """A systemd unit that can be enabled."""
    if re.fullmatch(r"[A-Za-z0-9:_-]+(@[A-Za-z0-9:_-]*)?", text):
        raise Fault(f"the unit {quoted(text)} has no suffix", f'write its whole name: "{text}.service"')
    kinds = ", ".join(f".{suffix}" for suffix in UNIT_SUFFIXES)
    matching(UNIT, text, "a unit that can be enabled", f"end its name in one of {kinds}")
    if _LOGIN_UNIT.fullmatch(text):
        raise Fault(f"the unit {text} opens a login, and nobody logs in to an immutable server", "leave it out")
    return text


def command(text: str) -> str:
    """A command for the shell, run while the image is built."""
    if not text.strip() or "\0" in text:
        raise Fault(f"{quoted(text)} is not a command", 'write what a shell can run, such as "nginx -t"')
    return text


def login(text: str) -> str:
    """How one may log in: not at all."""
    if text != "none":
        raise Fault(
            f"login = {quoted(text)} is refused: whatever is changed by hand is lost with the server",
            'write login = "none", or leave it out; change the declaration and run `bluestone up`',
        )
    return text
