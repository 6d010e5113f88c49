from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.ship.shipper import masks as module
from bluestone.logs.ship.shipper.json import read, with_texts, written
from bluestone.logs.ship.shipper.masks import MARK, WITHHELD, Masks

SECRET = "hunter2"


def entry(**fields: object) -> bytes:
    return json.dumps({"__CURSOR": "s=1;i=1", "PRIORITY": "6", **fields}, ensure_ascii=False).encode()


def masked(line: bytes, *rules: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(Masks(rules).apply(line))
    return found


def test_what_a_rule_matches_is_hidden_in_every_field() -> None:
    line = entry(MESSAGE=f"password={SECRET} ok", _CMDLINE=f"app --password={SECRET}", TAGS=["a", f"password={SECRET}"])
    found = masked(line, r"(?i)password=\S+")
    assert found["MESSAGE"] == f"{MARK} ok"
    assert found["_CMDLINE"] == f"app --{MARK}"
    assert found["TAGS"] == ["a", MARK]


def test_of_a_rule_with_groups_only_these_are_hidden() -> None:
    line = entry(MESSAGE=f'{{"user":"eve","password":"{SECRET}","n":1}}')
    assert json.loads(str(masked(line, r'"password":"([^"]*)"')["MESSAGE"])) == {
        "user": "eve",
        "password": MARK,
        "n": 1,
    }
    assert masked(entry(MESSAGE="abc"), "(a)?b(c)")["MESSAGE"] == f"{MARK}b{MARK}"


def test_bytes_that_are_no_text_are_hidden_as_well() -> None:
    raw = list(b"\xff token=" + SECRET.encode())
    found = masked(entry(MESSAGE=raw, OTHER=[list(b"token=a\xff"), "x"]), r"token=\S+")
    assert found["MESSAGE"] == f"\ufffd {MARK}"
    assert found["OTHER"] == [MARK, "x"]
    assert masked(entry(MESSAGE=raw), "nothing")["MESSAGE"] == raw


def test_secrets_that_are_written_with_escapes_are_found() -> None:
    line = b'{"__CURSOR":"s=1;i=1","MESSAGE":"key\\u003d\\"s\\u0065cret\\"\\tend"}'
    assert masked(line, 'key="(.*?)"')["MESSAGE"] == f'key="{MARK}"\tend'


def test_a_rule_can_change_neither_names_nor_numbers_of_lines() -> None:
    line = entry(MESSAGE="1", _BLUESTONE_LOST="1", _BOOT_ID="1")
    found = masked(line, ".+")
    assert (found["__CURSOR"], found["PRIORITY"], found["_BLUESTONE_LOST"]) == ("s=1;i=1", "6", "1")
    assert found["MESSAGE"] == MARK


def test_a_rule_that_runs_away_hides_the_line_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    rules = Masks([r"(a|aa)+$"])
    found = json.loads(rules.apply(entry(MESSAGE="a" * 200 + "b", _COMM="app")))
    assert (found["MESSAGE"], found["_COMM"], found["__CURSOR"]) == (WITHHELD, WITHHELD, "s=1;i=1")
    assert json.loads(rules.apply(entry(MESSAGE="fine")))["MESSAGE"] == "fine"


def test_a_long_line_is_not_cut_within_a_secret() -> None:
    text = b"x" * 990 + b" token=" + b"s" * 100 + b" end"
    assert Masks([r"token=\w+"]).cut(text, 1000) == 991
    assert Masks([r"other"]).cut(text, 1000) == 1000


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.one_of(texts, st.none(), st.lists(st.integers(0, 255), max_size=5), st.lists(texts, max_size=3))


@settings(max_examples=100)
@given(st.dictionaries(texts, values, max_size=6), st.booleans(), st.booleans())
def test_other_texts_stay_to_the_byte(fields: dict[str, object], ascii_only: bool, tight: bool) -> None:
    line = json.dumps(fields, ensure_ascii=ascii_only, separators=(",", ":") if tight else None).encode()
    seen: dict[str, list[str]] = {}

    def note(name: str, text: str) -> str:
        seen.setdefault(name, []).append(text)
        return text

    assert with_texts(line, note) == line
    for name, value in fields.items():
        if isinstance(value, str):
            assert value in seen[name]


@given(texts)
def test_texts_are_written_as_json(text: str) -> None:
    assert json.loads(b'"' + written(text) + b'"') == text
    assert read(written(text)) == text
