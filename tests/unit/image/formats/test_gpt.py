import struct
import zlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.formats.gpt import ALIGNMENT, READ_ONLY, SECTOR, Partition, Table, table

DISK = UUID(int=1)
partitions = st.lists(
    st.builds(
        Partition,
        name=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=36),
        type=st.uuids(),
        uuid=st.uuids(),
        size=st.integers(1, 2**20).map(lambda sectors: sectors * SECTOR),
        attributes=st.sampled_from([0, READ_ONLY]),
    ),
    max_size=8,
)


def header(block: bytes) -> tuple[int, ...]:
    """Checksum, own place, other place, first and last usable sector, place of the entries, their checksum."""
    assert block[:8] == b"EFI PART"
    (checksum,) = struct.unpack_from("<I", block, 16)
    assert zlib.crc32(block[:16] + b"\0\0\0\0" + block[20:92]) == checksum
    own, other, first, last = struct.unpack_from("<QQQQ", block, 24)
    (place,) = struct.unpack_from("<Q", block, 72)
    (entries,) = struct.unpack_from("<I", block, 88)
    return own, other, first, last, place, entries


@given(partitions)
def test_both_copies_hold_and_nothing_overlaps(wanted: list[Partition]) -> None:
    made = table(DISK, wanted)
    own, other, first, last, place, checksum = header(made.head[SECTOR : 2 * SECTOR])
    assert (own, place) == (1, 2)
    assert (other + 1) * SECTOR == made.size
    entries = made.head[2 * SECTOR :]
    assert zlib.crc32(entries) == checksum
    backup = header(made.tail[-SECTOR:])
    assert backup == (other, own, first, last, other - 32, checksum)
    assert made.tail[:-SECTOR] == entries
    end = first * SECTOR
    for number, (partition, offset) in enumerate(zip(wanted, made.offsets, strict=True)):
        entry = entries[number * 128 :][:128]
        start, stop, attributes = struct.unpack_from("<QQQ", entry, 32)
        assert UUID(bytes_le=entry[:16]) == partition.type
        assert UUID(bytes_le=entry[16:32]) == partition.uuid
        assert start * SECTOR == offset >= end
        assert offset % ALIGNMENT == 0
        end = (stop + 1) * SECTOR
        assert end - offset == partition.size
        assert attributes == partition.attributes
        assert entry[56:].decode("utf-16-le").rstrip("\0") == partition.name
    assert end <= (last + 1) * SECTOR


def test_what_cannot_be_is_refused() -> None:
    good = Partition("a", DISK, DISK, SECTOR)
    assert isinstance(table(DISK, [good] * 128), Table)
    for bad in (
        [good] * 129,
        [Partition("a", DISK, DISK, 0)],
        [Partition("a", DISK, DISK, 513)],
        [Partition("a" * 37, DISK, DISK, SECTOR)],
    ):
        with pytest.raises(ValueError, match=r"more than|no sectors|longer"):
            table(DISK, bad)
