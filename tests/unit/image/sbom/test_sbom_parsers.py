"""Parsers of what anybody may have written: any bytes give components or none, never a crash."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.sbom import dpkg, go, licences, node, python, rust
from bluestone.image.sbom.elf import HEAD, Elf
from bluestone.image.sbom.licences import named, of_copyright
from bluestone.image.sbom.place import Place
from bluestone.image.sbom.purl import purl
from bluestone.model.bom import Component
from sbom_tree import CRATES, elf, go_section

HERE = Place("/x")
TEXTS: dict[str, tuple[Callable[[Place, bytes], list[Component]], bytes]] = {
    "METADATA": (python.catalogue, b"Metadata-Version: 2.1\nName: a\nVersion: 1\nLicense: MIT\n\nlong"),
    "package.json": (node.catalogue, b'{"name":"a","version":"1","licenses":[{"type":"MIT"}]}'),
    "package-lock.json": (node.locked, b'{"dependencies":{"a":{"version":"1","dependencies":{"b":{"version":"2"}}}}}'),
    "Cargo.lock": (rust.locked, b'[[package]]\nname = "a"\nversion = "1"\n'),
}


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
def test_any_bytes_are_read(name: str, data: st.DataObject) -> None:
    catalogue, example = TEXTS[name]
    assert catalogue(HERE, example)
    assert all(each.name and each.version for each in catalogue(HERE, data.draw(st.binary(max_size=300))))
    place = data.draw(st.integers(0, len(example) - 1))
    changed = example[:place] + data.draw(st.binary(max_size=4)) + example[place + 1 :]
    found = catalogue(HERE, changed)
    assert all(each.name and each.version for each in found)
    # What cannot be said in JSON cannot be in a bill.
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[Component]) == found


def test_deep_nesting_is_no_crash() -> None:
    assert node.catalogue(HERE, b'{"name":"a","version":"1","x":' + b"[" * 100_000) == []
    deep = b'{"dependencies":{"a":{"version":"1",' * 500 + b'"x":0' + b"}}}" * 500
    assert isinstance(node.locked(HERE, deep), list)
    assert isinstance(rust.locked(HERE, b"a = " + b"[" * 50_000), list)


def test_old_ways_of_npm_to_name_licences() -> None:
    def of(text: str) -> tuple[str, ...]:
        return node.catalogue(HERE, f'{{"name":"a","version":"1",{text}}}'.encode())[0].licences

    assert of('"license":{"type":"BSD-3-Clause"}') == ("BSD-3-Clause",)
    assert of('"licenses":[{"type":"MIT"},{"type":"Apache 2.0"}]') == ("MIT", "Apache-2.0")
    assert of('"license":"SEE LICENSE IN x"') == ("SEE LICENSE IN x",)
    assert of('"license":7') == ()


def test_lock_files_of_npm() -> None:
    new = b'{"packages":{"":{"version":"9"},"node_modules/a":{"version":"1"},"x":{"version":"2","name":"y"}}}'
    old = b'{"dependencies":{"a":{"version":"1","dependencies":{"b":{"version":"2"}}}}}'
    assert [(each.name, each.version) for each in node.locked(HERE, new)] == [("a", "1"), ("y", "2")]
    assert [(each.name, each.version) for each in node.locked(HERE, old)] == [("a", "1"), ("b", "2")]
    assert all(each.declared and each.confidence < 1 for each in node.locked(HERE, old))


def program(data: bytes) -> list[Component]:
    def read(offset: int, length: int) -> bytes:
        return data[offset : offset + length] if offset >= 0 and length > 0 else b""

    one = Elf(data[:HEAD], read)
    sections = one.sections((go.SECTION, rust.SECTION))
    found = go.catalogue(HERE, one, sections.get(go.SECTION))
    return found + (rust.catalogue(HERE, sections[rust.SECTION]) if rust.SECTION in sections else [])


PROGRAM = elf({b".text": b"\x90" * 40, go.SECTION: go_section(), rust.SECTION: zlib.compress(CRATES)})


def test_a_program_is_read() -> None:
    assert [each.name for each in program(PROGRAM)] == [
        *("example.org/app", "example.org/new", "golang.org/x/Net", "stdlib"),
        "serde",
    ]


def test_names_that_are_too_many_to_be_read_with_the_table_are_found_too() -> None:
    others = {b".section-%d-of-a-program-that-has-many" % number: b"" for number in range(40)}
    assert [each.name for each in program(elf({**others, rust.SECTION: zlib.compress(CRATES)}))] == ["serde"]


@given(st.lists(st.tuples(st.integers(0, len(PROGRAM) - 1), st.integers(0, 255)), max_size=8), st.integers(0, 600))
def test_damaged_programs_are_refused_in_one_way(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(PROGRAM)
    for place, value in changes:
        data[place] = value
    for damaged in (bytes(data), bytes(data[: len(data) - cut])):
        try:
            found = program(damaged)
        except (ValueError, struct.error):
            continue
        assert all(each.name for each in found)


def test_go_programs_of_other_makes() -> None:
    def names(modules: str) -> list[tuple[str, str]]:
        return go.parse(modules)

    assert names("path\texample.org/x\nbuild\t-a=b\n") == [("example.org/x", go.UNKNOWN)]
    assert names("path\tcommand-line-arguments\n") == []
    devel = "path\ta/cmd\nmod\ta\t(devel)\t\ndep\tb\tv2\th1:x\n"
    linked = 'build\t-ldflags="-w -X a/main.version=1.18.1 -X a/main.date=2024"\n'
    commit = "build\tvcs.revision=0123456789abcdef\nbuild\tvcs.time=2026-11-25T10:00:00Z\n"
    assert names(devel) == [("a", go.UNKNOWN), ("b", "v2")]
    assert names(devel + linked + commit) == [("a", "v1.18.1"), ("b", "v2")]
    assert names(devel + commit) == [("a", "v0.0.0-20261125100000-0123456789ab"), ("b", "v2")]
    assert names("mod\ta\tv1\n=>\t./local\t\n") == [("./local", go.UNKNOWN)]
    assert program(elf({go.SECTION: b"\xff Go buildinf:\x08\x02" + bytes(16) + b"\x04rust\x00"})) == []
    assert program(elf({b".text": b"x"})) == []


def test_a_list_of_crates_that_unfolds_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rust, "LARGEST", 1000)
    with pytest.raises(ValueError, match="too long"):
        rust.catalogue(HERE, zlib.compress(b" " * 5000 + CRATES))


@given(st.text(max_size=400))
def test_any_status_is_read(text: str) -> None:
    for junk in (text, f"Package: a\nStatus: install ok installed\nVersion: 1\nSource: {text}\n\n{text}"):
        for fields in dpkg.packages(junk):
            one = dpkg.component(fields, dpkg.distribution(text), ())
            assert one.name
            assert one.source_version


def test_licences() -> None:
    assert named("GPL-2+ or Artistic") == ("GPL-2.0-or-later", "Artistic-1.0-Perl")
    assert named("(MIT AND Apache-2.0)") == ("MIT", "Apache-2.0")
    assert named("x" * (licences.LONGEST + 1)) == ()
    text = b"Format: https://www.debian.org/doc/x\nFiles: *\nLicense: Expat\nFiles: y\nLicense: GPL-2+, zlib\n text\n"
    assert of_copyright(text) == ("GPL-2.0-or-later", "MIT", "Zlib")
    assert of_copyright(b"This is free.\nLicense: MIT\n") == ()


@given(st.binary(max_size=300))
def test_any_copyright_is_read(data: bytes) -> None:
    assert isinstance(of_copyright(b"Format: x\nLicense: " + data), tuple)


@given(st.text(max_size=20), st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_package_urls_are_what_others_read(space: str, name: str, version: str) -> None:
    from urllib.parse import unquote

    text = purl("generic", space, name, version, arch="a b")
    path = text.removeprefix("pkg:generic/").removesuffix("?arch=a%20b")
    assert text.isascii()
    assert text.endswith("?arch=a%20b")
    before, at, after = path.rpartition("@") if version else (path, "", "")
    assert unquote(before.rpartition("/")[2]) == name.encode(errors="replace").decode()
    assert unquote(after) == (version.encode(errors="replace").decode() if at else "")
