"""What readers of texts share."""

from __future__ import annotations

import re

from bluestone.declaration.fault import Fault, quoted


def matching(pattern: str, text: str, wanted: str, mend: str) -> str:
    """The text, if it is like the pattern as a whole. Raises `Fault`."""
    if not re.fullmatch(pattern, text):
        raise Fault(f"{quoted(text)} is not {wanted}", mend)
    return text


def printable(text: str) -> bool:
    """Whether no control character is in it."""
    return not any(ord(character) < 32 or ord(character) == 127 for character in text)
