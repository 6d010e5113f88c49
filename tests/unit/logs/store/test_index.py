"""Words are found in the slices that the index names."""

import string
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.store.block import Block
from bluestone.logs.store.index import ANYWHERE, SLICES, Words, bounds, look_up, places
from bluestone.logs.store.joining import BY_NEWLINE, joined
from bluestone.logs.store.words import hash_of, words_of

LINES = st.lists(st.text(string.ascii_letters + "12 ,{}", max_size=40).map(str.encode), min_size=1, max_size=30)


def looked_up(content: bytes, more: bytes, word: bytes) -> list[tuple[int, int]]:
    words = Words()
    words.add(0, b"nothing of that", b"", plain=True)
    words.add(7, content, more, plain=content.startswith(BY_NEWLINE))
    shift, ends, index = words.finish()
    bucket = hash_of(word) >> shift
    found = places(
        look_up(index[int(ends[bucket - 1]) if bucket else 0 : int(ends[bucket])], hash_of(word)), sliced=True
    )
    return list(zip(found.blocks.tolist(), found.slices.tolist(), strict=True))


@given(LINES)
def test_a_word_is_found_in_its_slice_as_in_all_of_the_block(lines: list[bytes]) -> None:
    content = joined(lines)
    for word in {word for line in lines for word in words_of(line.decode())}:
        ((number, part),) = looked_up(content, b"", word)
        assert number == 7
        block = Block(content, len(lines), plain=True)
        having = {place: line for place, line in enumerate(lines) if word in words_of(line.decode())}
        assert having.items() <= block.lines_with(word, part).items()
        assert block.lines_with(word, part).items() <= block.lines_with(word).items()


def test_a_word_that_is_in_several_places_or_not_written_is_looked_for_everywhere() -> None:
    content = joined([b"one two three"] + [b"-" * 60] * 60 + [b"three four"])
    assert looked_up(content, b"", b"two") == [(7, 0)]
    assert looked_up(content, b"", b"four") == [(7, SLICES - 1)]
    assert looked_up(content, b"", b"three") == [(7, ANYWHERE)]
    assert looked_up(content, b"five two", b"five") == looked_up(content, b"five two", b"two") == [(7, ANYWHERE)]
    assert looked_up(content, b"", b"five") == []


@given(st.integers(1, 300_000))
def test_each_byte_is_in_one_slice(length: int) -> None:
    ends = [bounds(number, length) for number in range(SLICES)]
    assert ends[0][0] == 0
    assert ends[-1][1] == length
    assert all(one[1] == other[0] for one, other in pairwise(ends))
    assert all(place * SLICES // length == number for number, (place, end) in enumerate(ends) if place < end)
