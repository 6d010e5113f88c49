"""The chain of who read what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluestone.logs.reads import Reads
from bluestone.model.problem import Problem

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def written(directory: Path, count: int = 3) -> Path:
    reads = Reads(directory)
    for number in range(count):
        reads.append(NOW, "anna", "reader", "search", {"q": f"word {number}"}, number)
    return directory / "reads.ndjson"


def test_reads_are_numbered_and_bound_to_each_other(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = list(Reads(tmp_path).all())
    assert [read.number for read in found] == [1, 2, 3]
    assert [read.asked["q"] for read in found] == ["word 0", "word 1", "word 2"]
    assert found[2].previous == found[1].digest
    assert path.stat().st_mode & 0o777 == 0o600


def test_changes_are_found(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    changed = (
        [lines[0].replace(b"word 0", b"word 9"), *lines[1:]],
        [lines[0], lines[2]],
        [lines[1], lines[0], lines[2]],
        [lines[0], b"nonsense\n", lines[2]],
    )
    for content in changed:
        path.write_bytes(b"".join(content))
        with pytest.raises(Problem, match=r"is broken"):
            list(Reads(tmp_path).all())


def test_half_an_entry_was_never_acknowledged(tmp_path: Path) -> None:
    path = written(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"number":4,"at":"20')
    assert len(list(Reads(tmp_path).all())) == 3
    Reads(tmp_path).append(NOW, "rita", "reader", "search", {}, 1)
    assert [read.number for read in Reads(tmp_path).all()] == [1, 2, 3, 4]


def test_what_cannot_be_noted_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "reads.ndjson").mkdir()
    with pytest.raises(Problem, match=r"cannot be noted"):
        Reads(tmp_path).append(NOW, "anna", "reader", "search", {}, 1)


def test_reads_of_many_at_once_are_one_chain(tmp_path: Path) -> None:
    def read(who: int) -> None:
        reads = Reads(tmp_path)
        for number in range(10):
            reads.append(NOW, f"user-{who}", "reader", "search", {"q": str(number)}, number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))
    found = list(Reads(tmp_path).all())
    assert [each.number for each in found] == list(range(1, 41))
    assert {each.who for each in found} == {f"user-{who}" for who in range(4)}
