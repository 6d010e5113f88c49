"""Texts as parts of URIs (RFC 3986, section 2). Pure."""

from __future__ import annotations

import string

PLAIN = frozenset(string.ascii_letters + string.digits + "-._~")


def quoted(text: str, also: str = "") -> str:
    """A text in which all but letters, digits, `-._~` and `also` is percent-encoded, as UTF-8."""

    def one(character: str) -> str:
        if character in PLAIN or character in also:
            return character
        return "".join(f"%{byte:02X}" for byte in character.encode(errors="replace"))

    return "".join(map(one, text))
