"""Which words are in which blocks of a segment, and where in these: by the words' hashes, sorted, in buckets.

A block is cut into `SLICES` stretches of bytes. A word that is in one of them only is looked for there; of one that is
in several, or where bytes do not tell, it is only known that it is in the block.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

from bluestone.logs.store.columns import Numbers, shuffled, unshuffled
from bluestone.logs.store.words import HASH_BITS, hashes_and_starts, word_hashes

SLICE_BITS = 6
SLICES = ANYWHERE = (1 << SLICE_BITS) - 1

PAIRS = 2048
"""(word, block) pairs that are looked up together."""

LEVEL = 6

Packed = npt.NDArray[np.uint32]


class Places(NamedTuple):
    """The blocks that a word may be in, ascending, and for each the slice of it, or `ANYWHERE`."""

    blocks: Numbers
    slices: Numbers

    def slice_in(self, block: int) -> int:
        """The slice of a block."""
        place = int(np.searchsorted(self.blocks, block))
        known = place < len(self.blocks) and self.blocks[place] == block
        return int(self.slices[place]) if known else ANYWHERE


NOWHERE = Places(np.empty(0, np.int64), np.empty(0, np.int64))


def bounds(number: int, length: int) -> tuple[int, int]:
    """The bytes of a slice of a block of that length."""
    return -(-number * length // SLICES), -(-(number + 1) * length // SLICES)


class Words:
    """Gathers the words of blocks, and packs them."""

    def __init__(self) -> None:
        self._pairs: list[npt.NDArray[np.uint64]] = []

    def add(self, block: int, content: bytes, more: bytes, *, plain: bool) -> None:
        """The words of a block's content, and more that it is to be found by.

        Words are looked for in slices only if it is `plain`: ASCII, and nothing but lines.
        """
        found = _sliced(content) if plain else _anywhere(content)
        if more:
            found = _once(np.concatenate([found, _anywhere(more)]))
        hashes, slices = found >> np.uint32(SLICE_BITS), found & np.uint32(ANYWHERE)
        places = np.uint64(block << SLICE_BITS) | slices.astype(np.uint64)
        self._pairs.append(hashes.astype(np.uint64) << np.uint64(32) | places)

    def finish(self) -> tuple[int, Numbers, bytes]:
        """By how many bits a hash is shifted to tell its bucket, where each bucket ends, and the buckets."""
        pairs = np.sort(np.concatenate(self._pairs))
        bits = max(0, (len(pairs) // PAIRS).bit_length())
        words = (pairs >> np.uint64(32)).astype(np.uint32)
        places = (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        shift = HASH_BITS - bits
        limits = np.searchsorted(words, np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(shift))
        packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        packed, start = [], 0
        for end in (*limits.tolist(), len(pairs)):
            steps = np.diff(words[start:end], prepend=np.uint32(0))
            packed.append(packer.compress(shuffled(steps) + shuffled(places[start:end])))
            start = end
        return shift, np.cumsum([len(piece) for piece in packed], dtype=np.int64), b"".join(packed)


def look_up(bucket: bytes, wanted: int) -> Packed:
    """What a bucket, as it was packed, has of a word, by its hash. Raises `zstandard.ZstdError` if it is damaged."""
    content = zstandard.ZstdDecompressor().decompress(bucket)
    middle = len(content) // 2
    words = np.cumsum(unshuffled(content[:middle], np.dtype(np.uint32)), dtype=np.uint32)
    first, last = np.searchsorted(words, np.array([wanted, wanted + 1], np.uint32)).tolist()
    columns = np.frombuffer(content, np.uint8, offset=middle).reshape(4, -1)[:, first:last]
    return np.ascontiguousarray(columns.T).view(np.uint32).reshape(-1)


def places(packed: Packed, *, sliced: bool) -> Places:
    """What was looked up, of an index with slices or without."""
    if len(packed) == 0:
        return NOWHERE
    if not sliced:
        return Places(packed.astype(np.int64), np.full(len(packed), ANYWHERE, np.int64))
    return Places((packed >> SLICE_BITS).astype(np.int64), (packed & ANYWHERE).astype(np.int64))


def _sliced(text: bytes) -> Packed:
    """The words of a text, each once, with their slices."""
    found = [
        hashes << np.uint32(SLICE_BITS) | (starts * SLICES // len(text)).astype(np.uint32)
        for hashes, starts in hashes_and_starts(text)
    ]
    return _once(np.concatenate(found)) if found else np.empty(0, np.uint32)


def _anywhere(text: bytes) -> Packed:
    return word_hashes(text) << np.uint32(SLICE_BITS) | np.uint32(ANYWHERE)


def _once(found: Packed) -> Packed:
    """Each word once, in ascending order; of one that is in several slices `ANYWHERE`."""
    if len(found) == 0:
        return found
    found = np.sort(found)
    firsts = np.flatnonzero(np.diff(found >> np.uint32(SLICE_BITS), prepend=np.uint32(0xFFFFFFFF)))
    once: Packed = found[firsts]
    lasts = found[np.append(firsts[1:], len(found)) - 1]
    once[lasts != once] |= np.uint32(ANYWHERE)
    return once
