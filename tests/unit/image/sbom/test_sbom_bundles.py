"""Java archives in what a server unpacks when it starts."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from bluestone.image.sbom import bundles
from bluestone.image.sbom.java import Found
from bluestone.image.sbom.place import Place
from jar_corpus import ASM, ASM_IS, CODE, LANG, LANG_IS, jar


def look(path: str, data: bytes) -> Found:
    return bundles.catalogue(Place(path), lambda offset, length: data[offset : offset + length], len(data))


def told(path: str, data: bytes) -> tuple[set[tuple[str, str, str]], set[str]]:
    found = look(path, data)
    parts = {(each.name, each.version, each.path.removeprefix(path)) for each in found.components}
    return parts, {each.path.removeprefix(path) for each in found.unidentified}


def tar(members: dict[str, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


INSIDE = {
    "./app/README": b"x" * 2000,
    f"./app/{'long' * 60}/lib/l.jar": jar(LANG),
    "./app/shop.war": jar({"WEB-INF/lib/asm.jar": jar(ASM)}),
}
THERE = {(*LANG_IS, f"!app/{'long' * 60}/lib/l.jar"), (*ASM_IS, "!app/shop.war!WEB-INF/lib/asm.jar")}


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/srv/a.tar", tar(INSIDE)),
        ("/srv/a.tar.gz", gzip.compress(tar(INSIDE))),
        ("/srv/a.TGZ", gzip.compress(tar(INSIDE, tarfile.GNU_FORMAT))),
        ("/srv/a.tgz", gzip.compress(tar(INSIDE)[:4096]) + gzip.compress(tar(INSIDE)[4096:])),
        ("/srv/a.tar.xz", lzma.compress(tar(INSIDE))),
        ("/srv/a.tar.bz2", bz2.compress(tar(INSIDE))),
        ("/srv/a-1.0.zip", jar({name[2:]: data for name, data in INSIDE.items()}, zipfile.ZIP_STORED)),
    ],
)
def test_what_is_packed_is_told_and_the_pack_is_nothing(path: str, data: bytes) -> None:
    assert told(path, data) == (THERE, {"!app/shop.war"})


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/srv/a.tar", b"not a tar" * 100),
        ("/srv/a.tar", b""),
        ("/srv/a.tgz", gzip.compress(b"some text")),
        ("/srv/a.tar.gz", gzip.compress(tar({"x": b"y"}))),
        ("/srv/a.zip", b"not a zip"),
        ("/srv/a-2.0.zip", jar(CODE)),
    ],
)
def test_others_have_nothing_in_them(path: str, data: bytes) -> None:
    assert told(path, data) == (set(), set())


def test_one_that_is_cut_may_have_anything() -> None:
    whole = tar({"a.jar": jar(LANG), "b": b"\1\2\3" * 40_000, "c.jar": jar(ASM)})
    packed = gzip.compress(whole)
    for path, data in (
        ("/a.tar", whole[:50_000]),
        ("/a.tgz", packed[: len(packed) // 2]),
        ("/b.tgz", packed[:10] + b"\xff" * 100),
        ("/a.zip", jar({"a.jar": jar(LANG)})[:-9]),
    ):
        assert "" in told(path, data)[1], path


def test_it_ends_at_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few KB that unpack to much more are not unpacked, nor is a member that says that it is enormous."""
    bomb = gzip.compress(tar({"a.jar": jar(LANG), "zeros": b"\0" * (4 << 20), "b.jar": jar(ASM)}))
    found = Found(budget=1 << 20)
    monkeypatch.setattr(bundles, "Found", lambda: found)
    parts, unknown = told("/srv/bomb.tgz", bomb)
    assert (parts, unknown) == ({(*LANG_IS, "!a.jar")}, {""})
    assert found.budget > -(1 << 16)
    monkeypatch.setattr(bundles, "Found", Found)
    monkeypatch.setattr(bundles, "LARGEST_ARCHIVE", 100)
    assert told("/srv/a.tar", tar({"a.jar": jar(LANG)})) == (set(), {"!a.jar"})
