import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.formats.layer import entries, header, read, stream
from bluestone.image.normalise import EPOCH, backdate
from bluestone.image.tree import Entry, manifest, scan
from bluestone.model.problem import Problem

names = st.binary(min_size=1, max_size=140).filter(
    lambda name: not {b"", b".", b".."} & set(name.split(b"/")) and b"\0" not in name
)
headers = st.builds(
    Entry,
    path=names,
    kind=st.sampled_from(["file", "dir", "link", "fifo"]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32),
    gid=st.integers(0, 2**32),
    time=st.integers(0, 2**32),
    size=st.integers(0, 2**40),
    content=st.binary(min_size=1, max_size=140).filter(lambda target: b"\0" not in target),
    capability=st.sampled_from([b"", bytes.fromhex("0100000200040000000000000000000000000000")]),
)


@given(headers)
def test_an_independent_reader_finds_what_was_written(entry: Entry) -> None:
    text = header(entry)
    assert len(text) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(text + b"\0" * 1024), encoding="utf-8", errors="surrogateescape") as archive:
        member = archive.next()
    assert member is not None
    assert os.fsencode(member.name).rstrip(b"/") == b"./" + entry.path.rstrip(b"/")
    assert (member.mode, member.uid, member.gid, member.mtime) == (entry.mode, entry.uid, entry.gid, entry.time)
    kinds = {"file": member.isreg(), "dir": member.isdir(), "link": member.issym(), "fifo": member.isfifo()}
    assert kinds[entry.kind]
    if entry.kind == "file":
        assert member.size == entry.size
    if entry.kind == "link":
        assert os.fsencode(member.linkname) == entry.content
    capability = member.pax_headers.get("SCHILY.xattr.security.capability", "")
    assert capability.encode("utf-8", "surrogateescape") == entry.capability


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "root"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "a file").write_bytes(b"content" * 1000)
    (tree / "etc" / ("long" * 40)).write_text("")
    os.link(tree / "etc" / "a file", tree / "etc" / "the same file")
    (tree / "etc" / "link").symlink_to("a file")
    (tree / "etc" / "private").write_text("x")
    (tree / "etc" / "private").chmod(0o600)
    backdate(tree)
    (tmp_path / "manifest").write_text(manifest(tree))
    return tree


def test_what_is_unpacked_has_the_same_manifest(root: Path, tmp_path: Path) -> None:
    content = b"".join(stream(entries(root), root))
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["tar", "-x", "-p", "-C", other], input=content, check=True)
    assert manifest(other) == manifest(root)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert not any(member.islnk() for member in archive)


def test_the_stream_depends_on_the_manifest_alone(root: Path) -> None:
    before = b"".join(stream(entries(root), root))
    same = root / "etc" / "the same file"
    text = same.read_bytes()
    same.unlink()
    same.write_bytes(text)
    same.chmod(0o777)
    os.utime(root / "etc", (1, 1))
    assert b"".join(stream(entries(root), root)) == before


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "gone", "link", "fifo"])
def test_a_tree_that_was_changed_is_not_packed(root: Path, change: str) -> None:
    file = root / "etc" / "a file"
    size = file.stat().st_size
    if change in ("gone", "link", "fifo"):
        file.unlink()
    if change == "link":
        file.symlink_to("the same file")
    elif change == "fifo":
        os.mkfifo(file)
    elif change != "gone":
        file.write_bytes(b"x" * (size + {"longer": 1, "shorter": -1, "other": 0}[change]))
    with pytest.raises(Problem, match="/etc/a file is not what the image is named after"):
        list(stream(entries(root), root))


def test_one_file_is_read_as_the_manifest_has_it(root: Path) -> None:
    entry = next(entry for entry in scan(root) if entry.path == b"etc/private")
    assert (read(entry, root), entry.time) == (b"x", EPOCH)
    (root / "etc" / "private").write_text("y")
    with pytest.raises(Problem, match="/etc/private"):
        read(entry, root)
