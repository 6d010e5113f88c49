"""Consoles are stored line by line, each once, whatever dies in between."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive import consoles
from bluestone.logs.receive.consoles import Console, Consoles, Part, journal_lines
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.receiver import application
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

SERVER = "web-0-1f3a9c0d-7"


class Sink:
    """A store that knows a line by its server and cursor, and can be told to fail."""

    def __init__(self) -> None:
        self.lines: dict[tuple[int, str], str] = {}
        self.calls = 0
        self.fail_at: set[int] = set()
        self.fail_after: set[int] = set()

    async def take(self, number: int, body: bytes, at: int) -> None:
        self.calls += 1
        if self.calls in self.fail_at:
            raise Problem("the disk is full")
        for line in body.split(b"\n"):
            fields = json.loads(line)
            name = number, fields["__CURSOR"]
            assert self.lines.setdefault(name, fields["MESSAGE"]) == fields["MESSAGE"]
        if self.calls in self.fail_after:
            raise Problem("killed before the answer came")

    @property
    def messages(self) -> list[str]:
        return list(self.lines.values())


def watch(directory: Path, sink: Sink) -> Consoles:
    return Consoles(directory, {SERVER: 3}.get, sink.take, lambda: 1_000_000)


def sweep(watched: Consoles) -> None:
    asyncio.run(watched.sweep())


def test_lines_are_stored_as_they_are_completed(tmp_path: Path) -> None:
    sink, console = Sink(), tmp_path / SERVER
    watched = watch(tmp_path, sink)
    sweep(watched)
    console.write_bytes(b"one\r\n\x1b[32mtwo\x1b[0m\nthr")
    sweep(watched)
    assert sink.messages == ["one", "two"]
    with console.open("ab") as file:
        file.write(b"ee\n")
    sweep(watched)
    sweep(watched)
    assert sink.messages == ["one", "two", "three"]
    assert console.exists()


def test_what_has_ended_is_stored_to_its_end_and_removed(tmp_path: Path) -> None:
    sink = Sink()
    (tmp_path / f"{SERVER}.ended").write_bytes(b"one\nno line end")
    sweep(watch(tmp_path, sink))
    assert sink.messages == ["one", "no line end"]
    assert list(tmp_path.iterdir()) == []


def test_a_console_of_nobody_is_left_alone(tmp_path: Path) -> None:
    sink = Sink()
    (tmp_path / "db-0-1f3a9c0d-8").write_bytes(b"one\n")
    (tmp_path / "Not a name").write_bytes(b"one\n")
    sweep(watch(tmp_path, sink))
    assert sink.calls == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_stored_waits_and_holds_up_no_other(tmp_path: Path) -> None:
    sink = Sink()
    other = "web-1-1f3a9c0d-8"
    watched = Consoles(tmp_path, {SERVER: 3, other: 4}.get, sink.take, lambda: 1)
    for name in (SERVER, other):
        (tmp_path / f"{name}.ended").write_bytes(f"of {name}\n".encode())
    sink.fail_at = {1}
    sweep(watched)
    assert sink.messages == [f"of {other}"]
    sweep(watched)
    assert sink.messages == [f"of {other}", f"of {SERVER}"]
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60)
@given(
    st.lists(st.text("ab\n", max_size=12).map(str.encode), min_size=1, max_size=8),
    st.sets(st.integers(1, 12)),
    st.sets(st.integers(1, 12)),
    st.sets(st.integers(0, 8)),
)
def test_each_line_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[bytes],
    fail_at: set[int],
    fail_after: set[int],
    restarts: set[int],
) -> None:
    """However the console is written in pieces, stores fail before or after their work, and the receiver restarts."""
    directory = tmp_path_factory.mktemp("consoles")
    sink = Sink()
    sink.fail_at, sink.fail_after = fail_at, fail_after
    watched = watch(directory, sink)
    console = directory / SERVER
    for number, piece in enumerate(pieces):
        with console.open("ab") as file:
            file.write(piece)
        if number in restarts:
            watched = watch(directory, sink)
        sweep(watched)
    console.rename(directory / f"{SERVER}.ended")
    for _ in range(30):
        sweep(watched)
    expected = [line for line in b"".join(pieces).decode().split("\n") if line]
    in_place = sorted(sink.lines, key=lambda name: int(name[1].partition(";o=")[2], 16))
    assert [sink.lines[name] for name in in_place] == expected
    assert list(directory.iterdir()) == []


def test_a_long_console_is_stored_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "PART", 100)
    sink = Sink()
    (tmp_path / f"{SERVER}.ended").write_bytes(b"".join(b"line %03d\n" % number for number in range(100)))
    sweep(watch(tmp_path, sink))
    assert sink.messages == [f"line {number:03}" for number in range(100)]
    assert sink.calls > 9


def test_a_line_without_end_does_not_hold_up_what_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "PART", 100)
    sink = Sink()
    (tmp_path / SERVER).write_bytes(b"x" * 250 + b"\nlast\n")
    sweep(watch(tmp_path, sink))
    assert "".join(sink.messages) == "x" * 250 + "last"


def test_a_spoilt_place_begins_anew(tmp_path: Path) -> None:
    (tmp_path / f"{SERVER}.stored").write_bytes(b"{spoilt")
    assert Console(tmp_path, SERVER).last_part() == Part()


def test_a_panic_is_an_emergency() -> None:
    content = b"booting\nKernel panic - not syncing: dm-verity device corrupted\n"
    one, two = (json.loads(line) for line in journal_lines(content, Part(0x20, 0x20 + len(content), 5)))
    assert (one["PRIORITY"], two["PRIORITY"]) == ("6", "0")
    assert (one["__CURSOR"], two["__CURSOR"]) == ("console;o=20", "console;o=28")
    assert one["_SYSTEMD_UNIT"] == "console"
    assert (one["__REALTIME_TIMESTAMP"], two["__REALTIME_TIMESTAMP"]) == ("5", "6")


def test_a_receiver_stores_consoles_until_it_ends(tmp_path: Path) -> None:
    """The last words of servers that end together with their receiver are not lost, nor taken for shipped lines."""
    store, directory = tmp_path / "store", tmp_path / "consoles"
    directory.mkdir()
    credentials = Credentials(store)
    credentials.mint(Identity("shop", SERVER, "web", 3, "sha256:ab"))
    credentials.close()
    app = application(store, directory)

    async def story() -> None:
        async with app.router.lifespan_context(app):
            (directory / f"{SERVER}.ended").write_bytes(b"reboot: Power down\n")

    asyncio.run(story())
    assert list(directory.iterdir()) == []
    archive = Archive(store)
    (record,) = archive.search(Query())
    assert (record.identity.server, record.unit, record.message) == (SERVER, "console", "reboot: Power down")
    archive.close()
