from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluestone.logs.seals import BYTES, LINES, Seals
from bluestone.model.problem import Problem
from bluestone.model.record import Identity, Record

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def identity(server: str) -> Identity:
    return Identity("shop", server, "web", 3, "sha256:ab")


def record(number: int, message: str = "") -> Record:
    return Record(f"c{number}", NOW, identity("web-1"), "app", 6, message or f"line {number}")


@pytest.fixture
def seals(tmp_path: Path) -> Seals:
    return Seals(tmp_path / "last-words")


def sealed(seals: Seals, *servers: str) -> None:
    for server in servers:
        seals.seal(identity(server), [record(1), record(2)], 2, 2, NOW)


def test_what_was_sealed_is_read_again(seals: Seals) -> None:
    made = seals.seal(identity("web-1"), [record(1), record(2)], 2, None, NOW)
    assert seals.read("web-1") == made
    assert [said.message for said in made.said] == ["line 1", "line 2"]
    assert (made.number, made.goodbye, made.image) == (1, None, "sha256:ab")
    assert seals.read("web-2") is None
    assert seals.read("../web-1") is None


def test_a_server_is_sealed_once(seals: Seals) -> None:
    first = seals.seal(identity("web-1"), [record(1)], 1, 1, NOW)
    assert seals.seal(identity("web-1"), [record(9)], 9, None, NOW) == first
    assert seals.check() == (1, first.digest)


def test_each_seal_is_bound_to_the_one_before(seals: Seals) -> None:
    sealed(seals, "web-1", "web-2", "web-3")
    one, two = seals.read("web-1"), seals.read("web-2")
    assert one
    assert two
    assert two.previous == one.digest
    assert seals.check()[0] == 3


def test_the_newest_lines_are_sealed_within_bounds(seals: Seals) -> None:
    made = seals.seal(identity("web-1"), [record(n) for n in range(LINES + 5)], 9, None, NOW)
    assert [made.said[0].message, made.said[-1].message] == ["line 5", f"line {LINES + 4}"]
    large = seals.seal(identity("web-2"), [record(1, "x" * BYTES), record(2, "y" * BYTES)], 2, None, NOW)
    assert [said.message[0] for said in large.said] == ["y"]


def change(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        ("web-2.json", lambda text: change(text, "line 1", "line 7")),
        ("web-2.json", lambda text: text[:50]),
        ("web-2.json", None),
        ("chain", lambda text: "".join(text.splitlines(keepends=True)[1:])),
        ("chain", lambda text: change(text, "2 ", "two words ")),
    ],
)
def test_whatever_is_changed_shows(seals: Seals, tmp_path: Path, file: str, spoil: Callable[[str], str] | None) -> None:
    sealed(seals, "web-1", "web-2", "web-3")
    path = tmp_path / "last-words" / file
    if spoil:
        path.write_text(spoil(path.read_text()))
    else:
        path.unlink()
    with pytest.raises(Problem, match="is broken"):
        seals.check()


def test_one_that_died_between_seal_and_chain_is_sealed_again(seals: Seals, tmp_path: Path) -> None:
    sealed(seals, "web-1")
    (tmp_path / "last-words" / "chain").unlink()
    assert seals.read("web-1") is None
    sealed(seals, "web-1")
    assert seals.check()[0] == 1
