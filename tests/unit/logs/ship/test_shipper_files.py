from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestone.logs.ship.shipper import files as module
from bluestone.logs.ship.shipper.files import GRACE, LONGEST, PARTIAL, POLL, Files
from bluestone.logs.ship.shipper.masks import Masks


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def later(self, seconds: float = POLL) -> float:
        self.now += seconds
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def reader(*patterns: Path, known: Files | None = None, new: bool = False, masks: Masks | None = None) -> Files:
    return Files(
        [str(pattern) for pattern in patterns], known.positions() if known else (), masks or Masks(()), new=new
    )


def records(files: Files, clock: Clock, wait: float = POLL, *, last: bool = False) -> list[dict[str, Any]]:
    clock.later(wait)
    found: list[dict[str, Any]] = []
    while lines := files.read(clock.now, last=last):
        found += map(json.loads, lines)
    return found


def messages(files: Files, clock: Clock, wait: float = POLL, *, last: bool = False) -> list[str]:
    return [record["MESSAGE"] for record in records(files, clock, wait, last=last)]


def test_lines_come_once_as_they_are_written(log: Path, clock: Clock) -> None:
    files = reader(log)
    assert messages(files, clock) == []
    log.write_text("one\ntwo\nhal")
    assert messages(files, clock) == ["one", "two"]
    with log.open("a") as file:
        file.write("f\n\nthree\r\n")
    found = records(files, clock)
    assert [record["MESSAGE"] for record in found] == ["half", "three"]
    assert {record["_BLUESTONE_FILE"] for record in found} == {str(log)}
    assert len({record["__CURSOR"] for record in found}) == 2
    assert messages(files, clock) == []


def test_a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_start(log: Path, clock: Clock) -> None:
    files = reader(log)
    with log.open("w") as old:
        old.write("a\n")
        old.flush()
        assert messages(files, clock) == ["a"]
        log.rename(log.with_suffix(".1"))
        old.write("written after the rotation\n")
        old.flush()
        log.write_text("b\n")
        assert sorted(messages(files, clock)) == ["b", "written after the rotation"]
    clock.later(GRACE)
    assert messages(files, clock) == []
    assert len(files.positions()) == 1


def test_a_removed_file_is_read_to_its_end_with_its_last_half_line(log: Path, clock: Clock) -> None:
    files = reader(log)
    log.write_text("a\nhalf")
    assert messages(files, clock) == ["a"]
    log.unlink()
    assert messages(files, clock) == []
    assert messages(files, clock, PARTIAL) == ["half"]


def test_a_truncated_file_begins_again(log: Path, clock: Clock) -> None:
    files = reader(log)
    log.write_text("first\nsecond\n")
    before = records(files, clock)
    os.truncate(log, 0)
    assert messages(files, clock) == []
    with log.open("a") as file:
        file.write("first\n")
    after = records(files, clock)
    assert [record["MESSAGE"] for record in after] == ["first"]
    assert before[0]["__CURSOR"] != after[0]["__CURSOR"], "at the same offset, and yet another line"


def test_a_file_written_anew_is_noticed_also_if_it_is_longer(log: Path, clock: Clock) -> None:
    files = reader(log)
    log.write_text("first\n")
    assert messages(files, clock) == ["first"]
    with log.open("r+") as file:
        file.write("other, and longer\n")
    assert messages(files, clock) == ["other, and longer"]


def other(log: Path) -> Path:
    path = log.with_name("other")
    path.write_text("something else entirely\n")
    return path


@pytest.mark.parametrize("fate", ["stays", "grows", "renamed", "truncated", "replaced"])
def test_after_a_restart_it_goes_on(log: Path, clock: Clock, fate: str) -> None:
    files = reader(log)
    log.write_text("one\ntwo\n")
    messages(files, clock)
    changes: dict[str, Callable[[], object]] = {
        "stays": lambda: None,
        "grows": lambda: log.write_text("one\ntwo\nthree\n"),
        "renamed": lambda: (log.rename(log.with_suffix(".1")), log.write_text("new\n")),
        "truncated": lambda: log.write_text("1\n"),
        "replaced": lambda: other(log).replace(log),
    }
    changes[fate]()
    expected = {"stays": [], "grows": ["three"], "renamed": ["new"], "truncated": ["1"]}
    assert messages(reader(log, known=files), clock) == expected.get(fate, ["something else entirely"])


def test_what_a_volume_held_before_the_server_came_is_not_its_own(log: Path, clock: Clock) -> None:
    log.write_text("of another server\n")
    files = reader(log, new=True)
    assert messages(files, clock) == []
    with log.open("a") as file:
        file.write("mine\n")
    assert messages(files, clock) == ["mine"]


def test_patterns_find_files_that_come_later_and_nothing_else(tmp_path: Path, clock: Clock) -> None:
    files = reader(tmp_path / "*.log", tmp_path / "no" / "such.log")
    (tmp_path / "a.log").write_text("a\n")
    (tmp_path / "b.txt").write_text("b\n")
    (tmp_path / "d.log").mkdir()
    os.mkfifo(tmp_path / "f.log")
    assert messages(files, clock) == ["a"]


def test_a_line_of_megabytes_leaves_in_parts(log: Path, clock: Clock) -> None:
    files = reader(log)
    long = "0123456789" * (LONGEST // 3)
    log.write_text(f"{long}\nnext\n")
    *parts, last = records(files, clock)
    assert "".join(part["MESSAGE"] for part in parts) == long
    assert [part["_BLUESTONE_PART"] for part in parts] == [str(n + 1) for n in range(len(parts))]
    assert len(parts) > 3
    assert (last["MESSAGE"], "_BLUESTONE_PART" in last) == ("next", False)


def test_a_secret_or_a_character_at_a_cut_is_in_one_part(log: Path, clock: Clock) -> None:
    masks = Masks([r"token=s+"])
    log.write_text("x" * (LONGEST - 20) + "token=" + "s" * 60 + "ü" * LONGEST + "\n")
    parts = [
        masks.apply(json.dumps(each, ensure_ascii=False).encode()) for each in records(reader(log, masks=masks), clock)
    ]
    assert len(parts) == 4
    assert b"sss" not in b"".join(parts)
    assert "".join(json.loads(part)["MESSAGE"] for part in parts).endswith("[masked]" + "ü" * LONGEST)


def test_bytes_that_are_no_text_are_shown_and_none_is_lost(log: Path, clock: Clock) -> None:
    log.write_bytes(b"ok \xc3\xbc, bad \xff\xfe\0 end\n")
    assert messages(reader(log), clock) == ["ok ü, bad \\xff\\xfe\0 end"]


def test_the_last_half_line_comes_at_the_end(log: Path, clock: Clock) -> None:
    files = reader(log)
    log.write_text("whole\nhalf")
    assert messages(files, clock, last=True) == ["whole", "half"]


@pytest.fixture
def unreadable(log: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    log.write_text("x\n")
    monkeypatch.setattr(os, "open", refuse)
    yield log


def test_a_file_that_may_not_be_read_is_told_once(
    unreadable: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    files = reader(unreadable)
    assert messages(files, clock) + messages(files, clock) == []
    assert capsys.readouterr().err == f"shipper: {unreadable} cannot be read: Permission denied\n"


def test_how_many_files_are_read_at_once_is_bounded(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    for number in range(5):
        (tmp_path / f"{number}.log").write_text(f"{number}\n")
    assert messages(reader(tmp_path / "*.log"), clock) == ["0", "1", "2"]
    assert capsys.readouterr().err.count("more than 3 files") == 2
