"""What moved from one lock to the next, and how it reads."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from msgspec.structs import replace

from bluestone.image.lock.diff import diff, summary, text
from bluestone.model.lock import Lock
from lock_examples import DAY, LOCK, locks, package, release


def newer(one: str, other: str) -> bool:
    """Enough of an order for these tests."""
    return one > other


def test_every_kind_of_change_is_told() -> None:
    new = replace(
        LOCK,
        packages=(
            package("added", "2", "6"),
            package("dbus", "0.9", "7"),
            package("libz1", "1:1.2-3+b1", "8", source="zlib"),
            package("web", "1.1-1", "9", archive="security", suite="trixie-security"),
        ),
        releases=(release(sha256="d" * 64, date=DAY + timedelta(days=1)), LOCK.releases[1]),
        inputs={'image.files."/srv"': "e" * 64},
        tools={},
    )
    changes = diff(LOCK, new, newer)
    assert text(changes).splitlines() == [
        "+ added      added  2  (main, trixie)",
        "v downgraded dbus   1.0-1 -> 0.9  (main, trixie)",
        "~ replaced   libz1  1:1.2-3+b1 -> 1:1.2-3+b1  (source zlib; main, trixie)",
        "^ upgraded   web    1.0-1 -> 1.1-1  (security, trixie-security)",
        "- removed    ruby   1.0-1  (main, trixie) [tool puppet]",
        "  release    main trixie: 2026-11-20 08:30 -> 2026-11-21 08:30",
        '  input      image.files."/srv"',
        "1 added, 1 removed, 1 upgraded, 1 downgraded, 1 replaced, 1 input changed",
    ]


def test_a_rebuild_of_the_same_version_is_a_change_of_its_own() -> None:
    """Another file under the same version is not what was locked, whatever it calls itself."""
    new = replace(LOCK, packages=(*LOCK.packages[:2], package("web", digit="9")))
    (change,) = diff(LOCK, new, newer).packages
    assert (change.kind, change.old, change.new) == ("replaced", "1.0-1", "1.0-1")


def test_another_base_is_told() -> None:
    changes = diff(LOCK, replace(LOCK, base="debian:forky"), newer)
    assert text(changes).splitlines()[0] == "base       debian:trixie amd64 -> debian:forky amd64"


@given(locks)
def test_nothing_differs_from_itself(lock: Lock) -> None:
    changes = diff(lock, lock, newer)
    assert not changes
    assert summary(changes) == "no package changes"


@given(locks, locks)
def test_the_way_back_is_the_way_there_reversed(one: Lock, other: Lock) -> None:
    there, back = diff(one, other, newer), diff(other, one, newer)
    reverse = {"added": "removed", "removed": "added", "upgraded": "downgraded", "downgraded": "upgraded"}
    assert sorted((c.tool, c.name, c.old, c.new, reverse.get(c.kind, c.kind)) for c in there.packages) == sorted(
        (c.tool, c.name, c.new, c.old, c.kind) for c in back.packages
    )
    assert bool(there) == bool(back)
    moved = {package.sha256 for package in one.every} ^ {package.sha256 for package in other.every}
    assert bool(there.packages) >= bool(moved)
