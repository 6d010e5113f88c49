from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.ship.shipper import journal as module
from bluestone.logs.ship.shipper.journal import LONGEST, Journal, Lines
from bluestone.logs.ship.shipper.json import cursor_of
from bluestone.logs.ship.shipper.masks import REACH, Masks
from shipping import journalctl, line


def test_the_cursor_is_found_only_as_a_field() -> None:
    assert cursor_of(line(7)) == "s=1;i=7"
    quoted = json.dumps({"MESSAGE": 'x,"__CURSOR":"s=1;i=666"', "__CURSOR": "s=1;i=7"}).encode()
    assert cursor_of(quoted) == "s=1;i=7"
    assert cursor_of(b'{"__CURSOR" : "s=1;i=8" }') == "s=1;i=8"
    assert cursor_of(b"plain") == ""


@given(st.text())
def test_no_message_can_pretend_to_be_the_cursor(message: str) -> None:
    for fields in ({"MESSAGE": message, "__CURSOR": "mine"}, {"__CURSOR": "mine", "MESSAGE": message}):
        assert cursor_of(json.dumps(fields, separators=(",", ":")).encode()) == "mine"


@given(st.lists(st.binary(max_size=50).map(lambda data: data.replace(b"\n", b""))), st.integers(1, 20))
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader = Lines("")
    assert [line for at in range(0, len(stream), step) for line in reader.feed(stream[at : at + step])] == lines


def long_line(size: int) -> bytes:
    return json.dumps({"MESSAGE": 'ü"\\' * (size // 4), "__CURSOR": "s=1;i=2"}, ensure_ascii=False).encode()


@pytest.mark.parametrize("step", [1 << 16, 1 << 20])
@pytest.mark.parametrize("size", [LONGEST - 60, LONGEST, 3 * LONGEST + 1, 10 << 20])
def test_a_long_line_leaves_in_parts_that_join_to_the_line(step: int, size: int) -> None:
    long = long_line(size)
    stream = line(1) + b"\n" + long + b"\n" + line(3) + b"\n"
    reader = Lines("")
    out = [part for at in range(0, len(stream), step) for part in reader.feed(stream[at : at + step])]
    assert (out[0], out[-1], reader.cursor) == (line(1), line(3), "s=1;i=3")
    if len(long) <= LONGEST:
        assert out[1:-1] == [long]
        return
    parts = [json.loads(part) for part in out[1:-1]]
    assert all(len(part) <= 2 * LONGEST + 200 for part in out)
    assert "".join(part["MESSAGE"] for part in parts).encode() == long
    assert [part["__CURSOR"] for part in parts] == [f"s=1;i=1;part={n + 1}" for n in range(len(parts))]
    assert [cursor_of(part) for part in out[1:-1]] == [""] * len(parts)


def test_within_a_long_line_it_goes_on_where_it_was() -> None:
    stream = long_line(3 * LONGEST) + b"\n" + long_line(2 * LONGEST) + b"\n" + line(4) + b"\n"
    whole = list(Lines("s=1;i=1").feed(stream))
    names = [json.loads(part)["__CURSOR"] for part in whole[:-1]]
    assert len(set(names)) == len(names), "two long lines in a row are told apart"
    for done in range(len(whole) - 1):
        reader = Lines(f"s=1;i=1;part={done}" if done else "s=1;i=1")
        assert reader.cursor.endswith(f"part={done}" if done else "i=1")
        assert list(reader.feed(stream)) == whole[done:]
        assert reader.cursor == "s=1;i=4"


def test_a_secret_at_a_cut_leaves_in_neither_half() -> None:
    secret = b"token=" + b"s" * 60
    at = LONGEST - 90
    long = b'{"__CURSOR":"s=1;i=2","MESSAGE":"' + b"x" * at + secret + b" " + b"y" * (2 * REACH) + b'"}'
    masks = Masks([r"token=s+"])
    out = [masks.apply(part) for part in Lines("s=1;i=1", masks).feed(long + b"\n")]
    assert len(out) >= 2
    assert b"sss" not in b"".join(out)


def test_what_the_journal_dropped_is_told_with_its_number() -> None:
    out = list(Lines("s=1;i=5").feed(line(6) + b"\n" + line(10) + b"\n" + line(11) + b"\n"))
    assert [json.loads(each).get("_BLUESTONE_LOST") for each in out] == [None, "3", None, None]
    assert json.loads(out[1])["__CURSOR"] == "s=1;i=6;lost=3"
    other = json.dumps({"__CURSOR": "s=2;i=99"}).encode()
    assert len(list(Lines("s=1;i=5").feed(other + b"\n"))) == 1, "another journal counts anew"


def drain(journal: Journal) -> list[bytes]:
    lines: list[bytes] = []
    while not journal.ended:
        lines += journal.read()
    journal.close()
    return lines


def test_the_journal_is_read_from_its_start_without_a_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journalctl(tmp_path, monkeypatch, "say(*range(12_000))")
    lines = drain(Journal("", follow=False))
    assert [cursor_of(line) for line in lines] == [f"s=1;i={n:x}" for n in range(12_000)]
    assert (tmp_path / "asked").read_text() == "--output=json --all --quiet --no-tail"


@pytest.mark.parametrize("first", [5, 6])
def test_the_line_at_the_cursor_is_left_out_if_the_journal_still_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    journalctl(tmp_path, monkeypatch, f"say(*range({first}, 8))")
    lines = drain(Journal("s=1;i=5;part=2", follow=True))
    assert [cursor_of(line) for line in lines] == ["s=1;i=6", "s=1;i=7"]
    assert (tmp_path / "asked").read_text().endswith("--follow --cursor=s=1;i=5")


def test_half_a_line_at_the_journals_end_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journalctl(tmp_path, monkeypatch, "say(1); print('{\"__CUR', end='')")
    assert drain(Journal("", follow=False)) == [b'{"__CURSOR":"s=1;i=1"}']


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.data())
def test_from_every_place_the_rest_is_the_same(sizes: list[int], data: st.DataObject) -> None:
    """Wherever it is stopped, what comes after a restart continues what came before, name by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONGEST", 16)
        patch.setattr(module, "REACH", 4)
        stream = b"".join(b"%b\n" % (line(n + 1) if size < 20 else b"z" * size) for n, size in enumerate(sizes))
        whole = list(Lines("s=1;i=0").feed(stream))
        cut = data.draw(st.integers(0, len(stream)))
        first = Lines("s=1;i=0")
        before = list(first.feed(stream[:cut]))
        resumed = Lines(first.cursor)
        start = stream.find(f'"{first.cursor.partition(";")[0]};{first.cursor.split(";")[1]}"'.encode())
        start = stream.find(b"\n", start) + 1 if start >= 0 else 0
        assert before + list(resumed.feed(stream[start:])) == whole
