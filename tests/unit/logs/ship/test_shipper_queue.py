from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.ship.shipper import queue as module
from bluestone.logs.ship.shipper.queue import File, Position, Queue

names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).map(lambda text: f"/{text}")
files = st.builds(
    File, st.integers(0), st.integers(0), st.just("17f"), st.integers(0), st.integers(0, 256), st.integers(0), names
)


@settings(max_examples=30)
@given(st.integers(0), st.lists(files, max_size=3))
def test_a_position_is_read_as_it_was_written(sequence: int, known: list[File]) -> None:
    position = Position(sequence, "s=1;i=2;part=3", tuple(known))
    again = Position.parse(position.text().partition(b"\n\n")[0])
    assert (again.sequence, again.cursor) == (sequence, "s=1;i=2;part=3")
    assert [vars(each) for each in again.files] == [vars(each) for each in known]


def test_what_waits_is_there_after_a_crash_as_it_was(tmp_path: Path) -> None:
    queue = Queue(str(tmp_path))
    assert queue.new
    queue.add(Position(2, "b"), b"one\n\ntwo\n")
    queue.add(Position(3, "c"), b"three\n")
    queue.acknowledge()
    again = Queue(str(tmp_path))
    assert not again.new
    assert (again.acknowledged.sequence, again.position.sequence, len(again)) == (2, 3, 1)
    assert again.oldest
    assert again.oldest.body() == b"three\n"


def test_a_batch_that_was_acknowledged_before_a_crash_is_not_sent_again(tmp_path: Path) -> None:
    queue = Queue(str(tmp_path))
    queue.add(Position(2, "b"), b"x")
    queue.save(Position(2, "b"))  # and here it dies
    (tmp_path / "00.new").write_bytes(b"half")
    assert Queue(str(tmp_path)).oldest is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["progress"]


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(str(tmp_path), limit=10)
    queue.add(Position(1), b"123456")
    assert not queue.full
    queue.add(Position(2), b"123456")
    assert queue.full
    queue.acknowledge()
    assert not queue.full
    monkeypatch.setattr(module, "MOST", 1)
    assert queue.full


def test_on_a_full_disk_one_batch_is_held_in_memory_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    queue = Queue(str(tmp_path))
    queue.save(Position(1, "a"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        queue.add(Position(2, "b"), b"held")
        assert queue.full
        assert queue.oldest
        assert queue.oldest.body() == b"held"
        assert Queue(str(tmp_path)).position.cursor == "a", "after a crash the journal is read again from there"
        queue.acknowledge()
    assert (queue.acknowledged.cursor, queue.full) == ("b", False)
    assert [path.name for path in tmp_path.iterdir()] == ["progress"]
    queue.add(Position(3, "c"), b"on the disk again")
    assert len(list(tmp_path.iterdir())) == 2
