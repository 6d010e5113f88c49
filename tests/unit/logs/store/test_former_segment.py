"""Segments of the formats before: 40 lines each, kept as that bluestone wrote them."""

from pathlib import Path

import numpy as np
import pytest

from bluestone.logs.query.language import parse_query
from bluestone.logs.query.pick import blocks_by_words, pick
from bluestone.logs.query.read import found_in_block
from bluestone.logs.store.segment import Segment


@pytest.mark.parametrize(("number", "name"), [(1, "first.seg"), (2, "second.seg")])
def test_it_is_read_and_searched_as_ever(number: int, name: str) -> None:
    segment = Segment(Path(__file__).with_name(name))
    assert segment.format == number
    assert segment.verify() == ""
    assert (segment.counted(0) is None) == (number == 1)  # its lines are read for that
    assert segment.counts("path") == {"/a/0": 14, "/a/1": 13, "/a/2": 13}
    node = parse_query("request 17")
    picked = pick(node, segment)
    assert 0 < picked.lines.sum() < segment.lines
    lines = np.flatnonzero(picked.lines)
    blocks = segment.blocks_of(lines)
    numbers = np.unique(blocks).tolist()
    by_words = blocks_by_words(node, segment)
    assert by_words is not None
    assert numbers == by_words.tolist()
    hits = [
        hit
        for number in numbers
        for hit in found_in_block(segment, number, lines[blocks == number], node, exact=picked.exact)
    ]
    assert [entry.message for _, entry in hits] == ["request 17 of zanzibar"]
