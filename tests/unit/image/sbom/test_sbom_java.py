"""Java archives: the corpus, the bounds, and links that tell more than a file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.sbom import java
from bluestone.image.sbom.archive import Damaged, Zip
from bluestone.image.sbom.java import Found, catalogue
from bluestone.image.sbom.licences import named
from bluestone.image.sbom.maven import Coordinates, manifest, of_name, of_place, pom_properties, pom_xml
from bluestone.image.sbom.place import Place
from jar_corpus import ASM, CASES, LANG, Case, jar, pom


def look(path: str, data: bytes, known: tuple[Coordinates, ...] = ()) -> Found:
    return catalogue(Place(path), lambda offset, length: data[offset : offset + length], len(data), known)


def told(case: Case) -> tuple[set[tuple[str, str, str]], set[str]]:
    found = look(case.path, case.data())
    parts = {(each.name, each.version, each.path.removeprefix(case.path)) for each in found.components}
    return parts, {each.path.removeprefix(case.path) for each in found.unidentified}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_each_archive_is_told_and_no_other(case: Case) -> None:
    parts, unknown = told(case)
    assert parts == case.truth
    assert unknown == case.unknown


def test_the_corpus_is_large_and_nearly_all_of_it_is_identified() -> None:
    assert len(CASES) >= 40
    assert len({case.title for case in CASES}) == len(CASES)
    results = [(case.truth, told(case)[0]) for case in CASES]
    there = sum(len(truth) for truth, _ in results)
    assert there >= 45
    assert sum(len(truth & parts) for truth, parts in results) / there >= 0.95
    assert [parts - truth for truth, parts in results if parts - truth] == []


def test_package_urls_say_what_kind_it_is_and_never_guess_a_group() -> None:
    def urls(path: str, data: bytes) -> list[str]:
        return [each.purl for each in look(path, data).components]

    assert urls("/asm-9.7.jar", jar(ASM)) == ["pkg:maven/org.ow2.asm/asm@9.7"]
    assert urls("/asm-9.7-sources.jar", jar(ASM)) == ["pkg:maven/org.ow2.asm/asm@9.7?classifier=sources"]
    assert urls("/asm-9.7.war", jar(ASM)) == ["pkg:maven/org.ow2.asm/asm@9.7?type=war"]
    assert urls("/x-1.0.jar", jar({})) == ["pkg:generic/x@1.0"]


def test_evidence_and_owner_are_kept() -> None:
    data = jar({**ASM, **LANG})
    found = catalogue(Place("/asm-9.7.jar", "libasm-java"), lambda at, size: data[at : at + size], len(data))
    by_name = {each.name: each for each in found.components}
    assert by_name["org.ow2.asm:asm"].evidence == java.POM
    assert by_name["org.ow2.asm:asm"].confidence == 1
    assert by_name["org.apache.commons:commons-lang3"].evidence == java.SHADED
    assert by_name["org.apache.commons:commons-lang3"].confidence < 1
    assert {each.owner for each in found.components} == {"libasm-java"}


def test_a_link_in_a_repository_gives_a_file_its_group() -> None:
    known = (Coordinates("org.x", "a", "1.0"),)
    assert [each.name for each in look("/usr/share/java/a-1.0.jar", jar({}), known).components] == ["org.x:a"]
    assert [each.name for each in look("/usr/share/java/b-1.0.jar", jar({}), known).components] == ["b"]
    # What is called `a` of 1.0 elsewhere is no reason to doubt: it is listed by that name.
    assert look("/usr/share/java/b.jar", jar({}), known).unidentified == []


def test_what_is_unpacked_is_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    one = jar({"x": bytes(3000)}, zipfile.ZIP_STORED)
    data = jar({f"lib/x-{number}.jar": one for number in range(5)})
    monkeypatch.setattr(java, "BUDGET", 2 * len(one))
    found = catalogue(Place("/a.ear"), lambda at, size: data[at : at + size], len(data))
    assert len(found.components) == 5
    limited = Found(budget=2 * len(one))
    java.look(Place("/a.ear"), lambda at, size: data[at : at + size], len(data), limited, 0)
    assert len(limited.components) == 2
    assert [each.path for each in limited.unidentified[1:]] == [f"/a.ear!lib/x-{number}.jar" for number in (2, 3, 4)]


def test_archives_without_number_are_not_all_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "MOST_ARCHIVES", 3)
    data = jar({f"x-{number}.jar": jar({}) for number in range(9)})
    found = look("/a-1.jar", data)
    assert len(found.components) == 4
    assert [each.reason for each in found.unidentified] == ["there are more than 3 archives in one file"]


def test_what_is_made_to_take_long_does_not() -> None:
    """Each of these took minutes or more in the obvious way; what is asserted is that they end, and how."""
    assert named("a" + " " * 10**6 + "b") == ()
    folded = manifest(b"A: b\n" + b" c\n" * 300_000)
    assert len(folded["a"]) == 300_001
    assert of_name("-native" * 9000 + "!.jar").version == ""


@pytest.mark.parametrize(
    ("path", "coordinates"),
    [
        ("/usr/share/maven-repo/org/x/a/1.0/a-1.0.jar", Coordinates("org.x", "a", "1.0")),
        ("/m2/repository/x/a/1.0/a-1.0-tests.jar", Coordinates("x", "a", "1.0", "tests")),
        ("/usr/share/maven-repo/org/x/a/debian/a-debian.jar", None),
        ("/usr/share/maven-repo/org/x/a/1.x/a-1.x.jar", None),
        ("/usr/share/java/a-1.0.jar", None),
        ("/opt/org/x/a/1.0/a-1.0.jar", None),
        ("/m2/repository/x/a/1.0/b-1.0.jar", None),
        ("a", None),
    ],
)
def test_places_in_a_repository(path: str, coordinates: Coordinates | None) -> None:
    assert of_place(path) == coordinates


@pytest.mark.parametrize(
    ("name", "artifact", "version", "classifier"),
    [
        ("guava-33.0.0-jre.jar", "guava", "33.0.0-jre", ""),
        ("netty-tcnative-2.0.65.Final-osx-aarch_64.jar", "netty-tcnative", "2.0.65.Final", "osx-aarch_64"),
        ("x-1.0-sources.jar", "x", "1.0", "sources"),
        ("commons-lang3.jar", "commons-lang3", "", ""),
        ("log4j-api-2.jar", "log4j-api", "2", ""),
        ("log4j-1.2-api-2.20.0.jar", "log4j-1.2-api", "2.20.0", ""),
        ("x-1.0-beta-2.1.jar", "x", "1.0-beta-2.1", ""),
        ("x-1.0-20260101.120000-1.jar", "x", "1.0-20260101.120000-1", ""),
        ("-1.0.jar", "-1.0", "", ""),
        ("jsr305-0.1~+svn49.jar", "jsr305", "0.1~+svn49", ""),
    ],
)
def test_names_of_files(name: str, artifact: str, version: str, classifier: str) -> None:
    assert of_name(name) == Coordinates("", artifact, version, classifier)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
BEFORE = st.binary(max_size=40).filter(lambda data: b"PK" not in data)
"""What stands before an archive; the end of another one there is more than Python's reader takes."""


@given(st.dictionaries(NAMES, st.binary(max_size=500), max_size=8), st.booleans(), BEFORE)
def test_archives_are_read_as_python_reads_them(members: dict[str, bytes], packed: bool, before: bytes) -> None:
    data = jar(members, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED, before)
    archive = Zip(lambda at, size: data[at : at + size], len(data))
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        assert archive.names == list(dict.fromkeys(info.orig_filename for info in other.infolist()))
        for info in other.infolist():
            assert archive.read(info.orig_filename, 500) == other.read(info)
            assert archive.size(info.orig_filename) == info.file_size


def test_archives_with_wide_fields(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        with archive.open(zipfile.ZipInfo("wide"), "w", force_zip64=True) as member:
            member.write(b"content")
        for number in range(70_000):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    content = b"before" + data.getvalue()
    one = Zip(lambda at, size: content[at : at + size], len(content))
    assert len(one.names) == 70_001
    assert one.read("wide", 7) == b"content"
    with pytest.raises(Damaged, match="more than 6 bytes"):
        one.read("wide", 6)


RICH = jar({**ASM, **pom("org.x", "y", "1"), "lib/a.jar": jar(LANG), "META-INF/MANIFEST.MF": b"A: b\n"})


@given(st.lists(st.tuples(st.integers(0, len(RICH) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(RICH)))
def test_no_damage_gets_through(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(RICH)
    for place, value in changes:
        data[place] = value
    for damaged in (bytes(data), bytes(data[:cut])):
        found = look("/x-1.jar", damaged)
        assert found.components or found.unidentified


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_texts_of_any_bytes_are_read(junk: bytes, more: bytes) -> None:
    for data in (junk, b"<project>" + junk + b"</project>", b"groupId=a\nartifactId=b\nversion=" + junk):
        for coordinates in (pom_properties(data), pom_xml(data)):
            assert coordinates is None or all(coordinates[:3])
    assert all(name == name.lower() for name in manifest(junk + b"\n: " + more))
    assert look("/x.jar", junk + b"PK\5\6" + more).unidentified
