"""Java's trusted certificates in one form, whenever and in whatever order they came into the store."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.keystore import MAGIC, TRUSTED, _seal, canonical

Entries = list[tuple[bytes, bytes]]


def store(entries: Entries, milliseconds: int) -> bytes:
    body = struct.pack(">III", MAGIC, 2, len(entries))
    for name, certificate in entries:
        body += struct.pack(">IH", TRUSTED, len(name)) + name + struct.pack(">Q", milliseconds)
        body += struct.pack(">H", 5) + b"X.509" + struct.pack(">I", len(certificate)) + certificate
    return body + _seal(body)


ENTRIES = st.dictionaries(st.binary(min_size=1, max_size=9), st.binary(max_size=30), max_size=6).map(
    lambda found: sorted(found.items())
)


@given(ENTRIES, st.integers(0, 2**50), st.randoms(use_true_random=False))
def test_neither_the_day_nor_the_order_shows(entries: Entries, day: int, chance: object) -> None:
    shuffled = list(entries)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert canonical(store(shuffled, day), 7) == store(entries, 7000)


@given(ENTRIES, st.binary(max_size=40))
def test_what_is_no_such_store_stays_as_it_is(entries: Entries, other: bytes) -> None:
    whole = store(entries, 1)
    for changed in (other, whole + b"x", whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        assert canonical(changed, 7) == changed
    cut = whole[: len(whole) // 2]
    assert canonical(cut + _seal(cut), 7) == cut + _seal(cut)
