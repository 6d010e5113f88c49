"""package-lock.json, as npm wrote it: raised as npm raises it, or left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bluestone.patch.pins import npm
from bluestone.patch.pins.kept import LeftAlone

DATA = Path(__file__).parents[3] / "data" / "pins"
LOCK = (DATA / "package-lock-2.json").read_text()
DIGEST = "sha512-Jsjnk4bw3YJqYzbdyBiNsPWHPfO++UGG749Cxs6peCu5Xg4nrena6OVxOYxrQTqww0Jmwt+Ref8rggumkTLz9Q=="


def answer(**more: object) -> npm.Published:
    said = {"name": "minimist", "version": "1.2.6", "dist": {"integrity": DIGEST}, **more}
    return npm.published(json.dumps(said).encode(), "minimist", "1.2.6")


def changed(**entry: object) -> str:
    lock: dict[str, Any] = json.loads(LOCK)
    lock["packages"]["node_modules/minimist"] |= entry
    return json.dumps(lock)


def test_it_comes_to_what_npm_makes_of_it() -> None:
    assert (
        npm.raised(LOCK, "minimist", "1.2.5", "1.2.6", answer())
        == (DATA / "package-lock-2-raised-by-npm.json").read_text()
    )


def test_of_version_3_only_three_strings_differ() -> None:
    before = (DATA / "package-lock-3.json").read_text()
    after = npm.raised(before, "minimist", "1.2.5", "1.2.6", answer())
    lines = [(a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert [b.split('"')[1] for _, b in lines] == ["version", "resolved", "integrity"]
    assert json.loads(after)["packages"]["node_modules/optimist/node_modules/minimist"]["version"] == "0.0.10"


def test_the_registry_is_asked_where_the_old_one_came_from() -> None:
    assert npm.question(LOCK, "minimist", "1.2.5", "1.2.6") == "https://registry.example.org/minimist/1.2.6"
    scoped = changed(resolved="https://r.example.org/npm/minimist/-/minimist-1.2.5.tgz")
    assert npm.question(scoped, "minimist", "1.2.5", "1.2.6") == "https://r.example.org/npm/minimist/1.2.6"


@pytest.mark.parametrize("resolved", ["", "git+ssh://x/y", "http://r.example.org/minimist/-/minimist-1.2.5.tgz"])
def test_what_came_from_elsewhere_is_left(resolved: str) -> None:
    with pytest.raises(LeftAlone, match=r"registry"):
        npm.question(changed(resolved=resolved), "minimist", "1.2.5", "1.2.6")


def test_whoever_needs_it_must_admit_it() -> None:
    with pytest.raises(LeftAlone, match=r"node_modules/optimist needs minimist ~0.0.1"):
        npm.raised(LOCK, "minimist", "0.0.10", "1.2.6", answer())


def test_what_needs_something_else_than_before_is_resolved_by_npm() -> None:
    with pytest.raises(LeftAlone, match="resolved anew"):
        npm.raised(LOCK, "minimist", "1.2.5", "1.2.6", answer(dependencies={"left-pad": "1"}))
    optional = answer(dependencies={"x": "1"}, optionalDependencies={"x": "1"})
    assert optional.needs["dependencies"] == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"name":"minimist","version":"1.2.6","dist":{}}', b'{"name":"x","version":"1.2.6","dist":{}}'],
)
def test_an_answer_without_a_digest_is_none(content: bytes) -> None:
    with pytest.raises(LeftAlone):
        npm.published(content, "minimist", "1.2.6")


def test_what_is_bundled_or_damaged_is_left() -> None:
    with pytest.raises(LeftAlone, match="bundled"):
        npm.raised(changed(inBundle=True), "minimist", "1.2.5", "1.2.6", answer())
    with pytest.raises(LeftAlone, match="cannot be read"):
        npm.raised(LOCK[:-9], "minimist", "1.2.5", "1.2.6", answer())
