"""Words, as lines are searched by: pure. A word is letters, digits and underscores, in either case."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

_KEPT = {*range(ord("0"), ord("9") + 1), *range(ord("a"), ord("z") + 1), ord("_"), *range(128, 256)}
_TABLE = bytes(
    byte + 32 if ord("A") <= byte <= ord("Z") else byte if byte in _KEPT else ord(" ") for byte in range(256)
)
"""Bytes beyond ASCII are parts of letters of UTF-8."""

ESCAPE = re.compile(rb"\\[bfnrtu]")
"""Escapes of JSON (RFC 8259, section 7) whose letter would be taken for one of a word; others are between words."""


def words_of(text: str) -> list[bytes]:
    """The words of a text, in their order, in UTF-8."""
    if text.isascii():
        return text.encode().translate(_TABLE).split()
    return text.lower().encode(errors="replace").translate(_TABLE).split()


def words_of_bytes(text: bytes) -> list[bytes]:
    """The same for text in UTF-8 that may be none."""
    if text.isascii():
        return text.translate(_TABLE).split()
    return words_of(text.decode(errors="replace"))


def padded(text: str) -> bytes:
    """A text's words with one space around each, so that a phrase is found as a piece of it."""
    return b" " + b" ".join(words_of(text)) + b" "


def hashes(words: Iterable[bytes]) -> Iterable[int]:
    """32 bits for each word."""
    return map(zlib.crc32, words)


def written_as_it_is(lowered: bytes) -> bool:
    """Whether what is ASCII in messages stands so in their JSON, given in small letters.

    Not where there are escapes for it, where a message is no text (the journal writes some as lists of
    bytes), or where letters beyond ASCII may be small forms of others.
    """
    return (
        lowered.isascii()
        and b"\\u" not in lowered
        and b"\\/" not in lowered
        and all(
            lowered.count(name) == lowered.count(name + b':"') + lowered.count(name + b': "') for name in MESSAGE_NAMES
        )
    )


MESSAGE_NAMES = (b'"message"', b'"msg"', b'"log"')
