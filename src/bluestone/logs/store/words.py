"""Words, as lines are searched by: pure. A word is letters, digits and underscores, in either case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

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


def padded(text: str) -> bytes:
    """A text's words with one space around each, so that a phrase is found as a piece of it."""
    return b" " + b" ".join(words_of(text)) + b" "


HASH_BITS = 24
"""Of a word's hash: in a segment of 200,000 lines one word in fifty that is not there seems to be in one block."""

LONGEST = 4096
"""Bytes of a word, beyond which it is not looked for by its hash."""

Hashes = npt.NDArray[np.uint32]

_WINDOW = 256 << 10
_SPACE = ord(" ")
_BASE = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2^64."""


def word_hashes(text: bytes) -> Hashes:
    """`HASH_BITS` bits for each word of a text in UTF-8 (which may be none), in ascending order, each once.

    A polynomial of a word's bytes modulo 2^64, mixed by a multiplication: all words of a text are hashed at once.
    """
    found = [hashes for hashes, _ in hashes_and_starts(text)]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint32)


def hashes_and_starts(text: bytes) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
    """Each word's hash and, if the text is ASCII, its place in it; many at a time."""
    place = 0
    for window in _windows(_lowered(text)):
        hashes, starts = _hashes_in(window)
        yield hashes, starts + place
        place += len(window)


@lru_cache(maxsize=4096)
def hash_of(word: bytes) -> int:
    """The hash of one word, as `words_of` gives them."""
    return int(word_hashes(word)[0])


def _lowered(text: bytes) -> bytes:
    """In small letters, with a space for each byte that is not of a word."""
    return (text if text.isascii() else text.decode(errors="replace").lower().encode()).translate(_TABLE)


def _windows(text: bytes) -> Iterator[bytes]:
    """Pieces that are not too large to be hashed at once; no word of up to `LONGEST` bytes is cut."""
    place = 0
    while place < len(text):
        end = min(place + _WINDOW, len(text))
        if end < len(text):
            space = text.rfind(b" ", place, end)
            end = space + 1 if space >= place else end
        yield text[place:end]
        place = end


def _hashes_in(text: bytes) -> tuple[Hashes, npt.NDArray[np.int64]]:
    characters = np.frombuffer(text, np.uint8)
    inside = np.zeros(len(characters) + 2, bool)
    np.not_equal(characters, _SPACE, out=inside[1:-1])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2], edges[1::2]
    powers, inverses = _powers()
    sums = np.zeros(len(characters) + 1, np.uint64)
    np.cumsum(characters * powers[: len(characters)], out=sums[1:])
    hashed = (sums[ends] - sums[starts]) * inverses[starts]
    hashed ^= hashed >> np.uint64(32)
    hashed *= np.uint64(_BASE)
    return (hashed >> np.uint64(64 - HASH_BITS)).astype(np.uint32), starts


@cache
def _powers() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The powers of `_BASE`, and their inverses, modulo 2^64."""
    tables = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        factors = np.full(_WINDOW, base, np.uint64)
        factors[0] = 1
        tables.append(np.cumprod(factors, dtype=np.uint64))
    return tables[0], tables[1]


def written_as_it_is(lowered: bytes) -> bool:
    """Whether what is ASCII in messages stands so in their JSON, given in small letters.

    Not where there are escapes for it, where a message is no text (the journal writes some as lists of
    bytes), or where letters beyond ASCII may be small forms of others.
    """
    return (
        lowered.isascii()
        and b"\\u" not in lowered
        and b"\\/" not in lowered
        and all(_only_before_texts(lowered, name) for name in MESSAGE_NAMES)
    )


def _only_before_texts(lowered: bytes, name: bytes) -> bool:
    left = lowered.count(name)
    left -= lowered.count(name + b':"') if left else 0
    return left == 0 or left == lowered.count(name + b': "')


MESSAGE_NAMES = (b'"message"', b'"msg"', b'"log"')
