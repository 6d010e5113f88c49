"""The lockfile's text: whole and as written, or refused with the line and what to do."""

from __future__ import annotations

import hashlib
import random
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.image.lock import stored
from bluestone.image.lock.file import HEAD, MEND, digest, is_safe, parse, render
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem
from lock_examples import LOCK, locks, package

TEXT = render(LOCK)


def sealed(text: str) -> str:
    """A text with the digest that belongs to it."""
    body = text.partition("\n")[2].partition("\n")[2].partition("\n")[2]
    return f'{HEAD}format = 1\ndigest = "{hashlib.sha256(body.encode()).hexdigest()}"\n{body}'


def refused(text: str) -> Problem:
    with pytest.raises(Problem) as raised:
        parse(text)
    assert raised.value.mend
    assert raised.value.place is not None
    assert raised.value.place.file == "bluestone.lock"
    return raised.value


@given(locks)
def test_what_is_written_is_read_again(lock: Lock) -> None:
    assert parse(render(lock)) == lock


@given(locks, st.randoms())
def test_the_order_of_what_is_in_it_makes_no_difference(lock: Lock, chance: random.Random) -> None:
    packages, releases, inputs = list(lock.packages), list(lock.releases), list(lock.inputs.items())
    for each in (packages, releases, inputs):
        chance.shuffle(each)
    other = replace(lock, packages=tuple(packages), releases=tuple(releases), inputs=dict(inputs))
    assert render(other) == render(lock)
    assert digest(other) == digest(lock)


@given(st.data())
def test_any_single_changed_character_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda one: one != TEXT[at]))
    refused(TEXT[:at] + other + TEXT[at + 1 :])


@given(st.integers(0, len(TEXT) - 1))
def test_a_text_that_was_cut_short_is_refused(length: int) -> None:
    assert refused(TEXT[:length]).mend == MEND


def test_a_change_of_one_package_is_a_change_of_a_few_lines() -> None:
    moved = replace(LOCK, packages=(*LOCK.packages[:2], package("web", "1.1-1", "5")))
    lines, others = TEXT.splitlines(), render(moved).splitlines()
    assert len(lines) == len(others)
    changed = [one.partition(" = ")[0] for one, other in zip(lines, others, strict=True) if one != other]
    assert changed == ["digest", "version", "sha256", "path", "source_version"]


def test_anybody_may_read_it_as_toml() -> None:
    held = tomllib.loads(TEXT)
    assert [each["name"] for each in held["package"]] == ["dbus", "libz1", "web"]
    assert held["tool"]["puppet"][0]["name"] == "ruby"
    assert held["inputs"] == {'image.files."/srv"': "c" * 64}


@pytest.mark.parametrize(
    ("old", "new", "what", "shown"),
    [
        ("size = 42", "size = 43", "edited by hand", "digest = "),
        ('name = "web"', 'name = "Web"', "Expected `str` matching", 'name = "Web"'),
        ('\nversion = "1.0-1"\n', "\n", "the key version is missing", "[[package]]"),
        ("size = 42", "size = 42\nweight = 1", "there is no key weight", "weight = 1"),
        ("size = 42", "size = true", "Expected `int`", "size = true"),
        ('path = "pool/web_1.0-1.deb"', 'path = "../web.deb"', "leads out of its archive", 'path = "../web.deb"'),
        ('path = "pool/web_1.0-1.deb"', 'path = "pool/web"', "not that of a package", 'path = "pool/web"'),
        ('name = "web"', 'name = "libz1"', "libz1 is there twice", 'name = "libz1"'),
        ("format = 1", "format = 2", "is of format 2", "format = 2"),
        ("format = 1", 'format = "1"', "does not say that it is of format 1", 'format = "1"'),
        ("size = 42", "size 42", "damaged or was cut short", "size 42"),
    ],
)
def test_what_is_not_right_is_refused_where_it_is(old: str, new: str, what: str, shown: str) -> None:
    assert old in TEXT
    problem = refused(TEXT.replace(old, new, 1) if "format" in old or what == "edited by hand" else _last(old, new))
    assert what in problem.what
    assert problem.place is not None
    assert problem.place.text.startswith(shown)


def _last(old: str, new: str) -> str:
    """The text with the last package of the image changed, and a digest that fits."""
    head, tail = TEXT[: TEXT.index('[[tool."puppet"]]')], TEXT[TEXT.index('[[tool."puppet"]]') :]
    before, found, after = head.rpartition(old)
    assert found
    return sealed(f"{before}{new}{after}{tail}")


def test_a_text_of_two_merged_locks_is_told_as_such() -> None:
    merged = TEXT.replace('version = "1.0-1"\n', '<<<<<<< ours\nversion = "1.0-1"\n=======\n', 1)
    problem = refused(merged)
    assert "merged" in problem.what
    assert "git checkout --ours" in problem.mend
    assert problem.place is not None
    assert problem.place.text == "<<<<<<< ours"


@pytest.mark.parametrize(
    "path", ["/etc/x.deb", "../x.deb", "a/../../x.deb", "a//b.deb", "./a.deb", "", ".", "a\nb.deb"]
)
def test_a_path_that_may_lead_elsewhere_is_not_safe(path: str) -> None:
    assert not is_safe(path)


def test_a_file_is_read_and_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "bluestone.lock"
    assert stored.read(path) is None
    stored.write(path, LOCK)
    assert stored.read(path) == LOCK
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert stored.read(path) == LOCK, "as git may have it on another system"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Problem, match="is not UTF-8"):
        stored.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(Problem, match="cannot be read"):
        stored.read(path)
