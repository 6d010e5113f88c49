"""What differs between two images, as data and as a person reads it."""

from __future__ import annotations

import hashlib
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.image.diff import ImageDiff, Side, UnitChange, diff, text
from bluestone.image.tree import Entry, digest
from bluestone.model.bom import Bom, Component, Ecosystem
from bluestone.model.ids import Digest

Contents = dict[str, bytes]


def component(name: str, version: str, ecosystem: Ecosystem = "deb", path: str = "/x", owner: str = "") -> Component:
    source = f"{name}-source" if ecosystem == "deb" else ""
    return Component(ecosystem, name, version, f"pkg:{ecosystem}/{name}", path, "e", owner=owner, source=source)


def file(path: str, content: bytes = b"", mode: int = 0o644, **more: int) -> Entry:
    sha256 = hashlib.sha256(content).hexdigest().encode()
    return Entry(path.encode("utf-8", "surrogateescape"), "file", mode, more.get("uid", 0), 0, 1, len(content), sha256)


def link(path: str, target: str) -> Entry:
    return Entry(path.encode(), "link", 0o777, 0, 0, 1, content=target.encode())


def side(*entries: Entry, components: tuple[Component, ...] = (), owners: dict[str, str] | None = None) -> Side:
    manifest = "".join(f"{each.line()}\n" for each in entries)
    return Side(manifest, Bom(digest(manifest), "debian", "13", components, (), ()), owners or {})


def newer(one: str, other: str) -> bool:
    return one > other


def compared(old: Side, new: Side, old_texts: Contents | None = None, new_texts: Contents | None = None) -> ImageDiff:
    def read(which: Literal["old", "new"], entry: Entry) -> bytes | None:
        return ((old_texts if which == "old" else new_texts) or {}).get(entry.path.decode())

    return diff(old, new, newer, read)


def test_packages_are_added_removed_and_moved_with_their_sources() -> None:
    old = (component("a", "1"), component("b", "2"), component("c", "1"), component("e", "1"))
    new = (component("a", "2"), component("b", "1"), component("d", "1"), component("e", "1"))
    found = compared(side(components=old), side(file("x"), components=new)).packages
    assert [(each.kind, each.name, each.old, each.new, each.source) for each in found] == [
        ("upgraded", "a", "1", "2", "a-source"),
        ("downgraded", "b", "2", "1", "b-source"),
        ("removed", "c", "1", "", "c-source"),
        ("added", "d", "", "1", "d-source"),
    ]


def test_languages_packages_may_be_there_in_several_versions() -> None:
    old = tuple(component("lib", version, "maven", f"/{version}.jar") for version in ("1", "2"))
    (found,) = compared(side(components=old), side(file("x"), components=old[1:])).packages
    assert (found.kind, found.old, found.new, found.source) == ("changed", "1, 2", "2", "/2.jar")
    assert "~ changed    lib  1, 2 -> 2  (maven; /2.jar)" in text(
        compared(side(components=old), side(file("x"), components=old[1:]))
    )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (file("x", b"a"), file("x", b"bc"), ("content, 1 -> 2 bytes",)),
        (file("x"), file("x", mode=0o4755), ("mode 0644 -> 4755",)),
        (file("x"), file("x", uid=33), ("owner 0:0 -> 33:0",)),
        (file("x"), link("x", "y"), ("file -> link", "mode 0644 -> 0777")),
        (link("x", "y"), link("x", "z"), ("y -> z",)),
        (file("x"), replace(file("x"), capability=b"\1"), ("capabilities none -> 01",)),
        (file("x"), replace(file("x"), time=2), ("time 1 -> 2",)),
        (file("x", b"a"), replace(file("x", b"b"), time=2), ("content, 1 -> 1 bytes",)),
    ],
)
def test_in_which_way_a_path_differs(old: Entry, new: Entry, what: tuple[str, ...]) -> None:
    (found,) = compared(side(old), side(new)).files
    assert (found.kind, found.path, found.what) == ("changed", "/x", what)


def test_files_that_go_with_a_package_are_counted_and_those_that_do_not_are_shown() -> None:
    owners = {"/usr/a": "a", "/usr/b": "b"}
    old = side(
        file("usr/a"), file("usr/b"), file("var/lib/dpkg/status"), components=(component("a", "1"),), owners=owners
    )
    changed = [file(path, b"new") for path in ("usr/a", "usr/b", "var/lib/dpkg/status")]
    new = side(*changed, components=(component("a", "2"),), owners=owners)
    found = compared(old, new)
    assert [(each.path, each.package, each.follows) for each in found.files] == [
        ("/usr/a", "a", True),
        ("/usr/b", "b", False),
        ("/var/lib/dpkg/status", "", True),
    ]
    shown = text(found)
    assert "~ changed    /usr/b  content, 0 -> 3 bytes  (b)" in shown
    assert "/usr/a" not in shown
    assert "and 2 that go with packages (--files shows them): 1 of a, 1 of dpkg's records" in shown
    assert "/usr/a" in text(found, all_files=True)


def test_units_and_lines_of_configuration() -> None:
    wants = "etc/systemd/system/multi-user.target.wants"
    old = side(
        file("etc/app.conf", b"a\nb\n"),
        link(f"{wants}/old.service", "x"),
        link("etc/systemd/system/m.timer", "/dev/null"),
    )
    new = side(file("etc/app.conf", b"a\nc\n"), link(f"{wants}/new.service", "x"), file("etc/added", b"line\n"))
    found = compared(old, new, {"etc/app.conf": b"a\nb\n"}, {"etc/app.conf": b"a\nc\n", "etc/added": b"line\n"})
    assert found.units == (
        UnitChange("unmasked", "m.timer", ""),
        UnitChange("enabled", "new.service", "multi-user.target"),
        UnitChange("disabled", "old.service", "multi-user.target"),
    )
    assert {each.path: each.lines for each in found.texts} == {
        "/etc/added": ("@@ -0,0 +1 @@", "+line"),
        "/etc/app.conf": ("@@ -1,2 +1,2 @@", " a", "-b", "+c"),
    }
    assert "     -b\n     +c" in text(found)
    assert "  enabled    new.service  by multi-user.target" in text(found)


TOKEN = b"ghp_" + b"aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzAbC"


@pytest.mark.parametrize(
    ("entry", "content", "why"),
    [
        (file("etc/shadow", b"s3cr3t"), b"s3cr3t", "by its name"),
        (file("etc/app/server.key", b"s3cr3t"), b"s3cr3t", "by its name"),
        (file("etc/app/.npmrc", b"s3cr3t"), b"s3cr3t", "by its name"),
        (file("etc/app.conf", b"s3cr3t", mode=0o640), b"s3cr3t", "not everybody"),
        (file("etc/app.conf", TOKEN), TOKEN, "looks like a secret"),
        (file("etc/app.bin", b"\0"), b"\0", "no text"),
        (file("etc/app.bin", b"\xff"), b"\xff", "no text"),
        (file("etc/app.conf", b"x"), None, "cannot read it"),
        (replace(file("etc/app.conf"), size=1 << 20), b"", "large"),
    ],
)
def test_lines_that_are_not_shown(entry: Entry, content: bytes | None, why: str) -> None:
    texts = {entry.path.decode(): content} if content is not None else {}
    for found in (compared(side(), side(entry), {}, texts), compared(side(entry), side(), texts, {})):
        (change,) = found.texts
        assert change.lines == ()
        assert why in change.withheld
        assert "s3cr3t" not in text(found)
        assert why in text(found)


def test_an_image_does_not_differ_from_itself() -> None:
    one = side(file("x"), components=(component("a", "1"),))
    found = compared(one, one)
    assert not found
    assert text(found) == f"{digest(one.manifest)[7:15]} and {digest(one.manifest)[7:15]} are the same image"


entries = st.dictionaries(
    st.sampled_from(["a", "etc/b", "etc/c.conf", "usr/lib/\udcff", "etc/systemd/system/x.service"]),
    st.tuples(st.binary(max_size=20), st.sampled_from([0o644, 0o755, 0o600])),
)


@given(entries, entries)
def test_every_path_that_differs_is_told_and_no_other(
    old: dict[str, tuple[bytes, int]], new: dict[str, tuple[bytes, int]]
) -> None:
    sides = [side(*(file(path, *each) for path, each in sorted(held.items()))) for held in (old, new)]
    texts = [{path: content for path, (content, _) in held.items() if path.isascii()} for held in (old, new)]
    found = compared(sides[0], sides[1], texts[0], texts[1])
    assert len(found.files) == sum(old.get(path) != new.get(path) for path in {*old, *new})
    assert bool(found) == bool(found.files)
    back = compared(sides[1], sides[0], texts[1], texts[0])
    mirror = {"added": "removed", "removed": "added", "changed": "changed"}
    assert [(mirror[each.kind], each.path) for each in found.files] == [(each.kind, each.path) for each in back.files]
    assert (found.old, found.new) == (Digest(back.new), Digest(back.old))
    assert text(found).isprintable() or "\n" in text(found)
