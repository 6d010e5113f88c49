"""Tars are read as Python's own library reads them; what is laid of them is what tar would lay."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.builders.own import tar
from bluestone.image.builders.own.extract import lay

KINDS = {
    tarfile.REGTYPE: tar.FILE,
    tarfile.DIRTYPE: tar.DIRECTORY,
    tarfile.SYMTYPE: tar.LINK,
    tarfile.LNKTYPE: tar.HARD_LINK,
    tarfile.FIFOTYPE: tar.FIFO,
}
part = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=90
)
paths = st.lists(part.filter(lambda text: text not in (".", "..")), min_size=1, max_size=4).map("/".join)

contents = st.builds(
    lambda size, byte: byte * size, st.sampled_from((0, 1, 511, 512, 513, 1300)), st.binary(min_size=1, max_size=1)
)
"""Around the size of a block: drawing each byte by itself took most of the test's time."""


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo("./" + draw(paths))
    info.type = draw(st.sampled_from(sorted(KINDS)))
    info.mode, info.mtime = draw(st.integers(0, 0o7777)), draw(st.integers(0, 2**40))
    info.uid, info.gid = draw(st.integers(0, 2**31)), draw(st.integers(0, 2**31))
    info.linkname = draw(paths) if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    content = draw(contents) if info.type == tarfile.REGTYPE else b""
    info.size = len(content)
    return info, content


@given(st.lists(members(), max_size=5), st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_every_member_is_read_as_it_was_written(given: list[tuple[tarfile.TarInfo, bytes]], form: int) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for info, content in given:
            made.addfile(info, io.BytesIO(content))
    found = list(tar.read(memoryview(file.getvalue())))
    assert [(os.fsdecode(each.path), each.kind, each.mode, bytes(each.content)) for each in found] == [
        (info.name.removeprefix("./"), KINDS[info.type], info.mode, content) for info, content in given
    ]
    assert [os.fsdecode(each.target) for each in found] == [info.linkname for info, _ in given]
    if form == tarfile.GNU_FORMAT:
        assert [(each.uid, each.gid, each.time) for each in found] == [(i.uid, i.gid, i.mtime) for i, _ in given]


def tar_of(*given: tuple[str, dict[str, object], bytes]) -> memoryview:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, more, content in given:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in more.items():
                setattr(info, key, value)
            made.addfile(info, io.BytesIO(content))
    return memoryview(file.getvalue())


@pytest.mark.parametrize("name", ["../etc/passwd", "./usr/../../x", "/../x"])
def test_a_path_that_leads_out_of_the_root_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="leads out"):
        list(tar.read(tar_of((name, {}, b""))))
    with pytest.raises(ValueError, match="leads out"):
        list(tar.read(tar_of(("x", {"type": tarfile.LNKTYPE, "linkname": name}, b""))))


def test_a_damaged_tar_is_refused() -> None:
    whole = bytes(tar_of(("a", {}, b"x" * 600)))
    with pytest.raises(ValueError, match="damaged"):
        list(tar.read(memoryview(b"b" + whole[1:])))
    with pytest.raises(ValueError, match="too early"):
        list(tar.read(memoryview(whole[:1000])))


def test_what_is_laid_has_its_modes_times_and_links(tmp_path: Path) -> None:
    given = tar_of(
        ("./", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""),
        ("./usr", {"type": tarfile.DIRTYPE, "mode": 0o2775}, b""),
        ("./usr/su", {"mode": 0o4755, "mtime": 1234}, b"program"),
        ("./usr/again", {"type": tarfile.LNKTYPE, "linkname": "./usr/su"}, b""),
        ("./usr/link", {"type": tarfile.SYMTYPE, "linkname": "/etc/shadow"}, b""),
        ("./usr/share/locale/de", {"mode": 0o644}, b"never laid, though its directory is not there"),
    )
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/su").write_text("what was there before")
    lay(list(tar.read(given)), os.fsencode(tmp_path))
    laid = (tmp_path / "usr/su").stat()
    assert (stat.S_IMODE(laid.st_mode), laid.st_mtime, laid.st_nlink) == (0o4755, 1234, 2)
    assert (tmp_path / "usr/again").read_text() == "program"
    assert (tmp_path / "usr/link").readlink() == Path("/etc/shadow")
    assert sorted(path.name for path in (tmp_path / "usr").iterdir()) == ["again", "link", "su"]


def test_a_directory_that_is_a_link_stays_one_and_devices_are_refused(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    lay(list(tar.read(tar_of(("./lib", {"type": tarfile.DIRTYPE}, b""), ("./lib/a", {}, b"a")))), os.fsencode(tmp_path))
    assert (tmp_path / "usr/lib/a").read_text() == "a"
    assert (tmp_path / "lib").is_symlink()
    with pytest.raises(ValueError, match="device"):
        lay(list(tar.read(tar_of(("./null", {"type": tarfile.CHRTYPE}, b"")))), os.fsencode(tmp_path))
