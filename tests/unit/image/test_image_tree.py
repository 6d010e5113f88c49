import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.normalise import EPOCH, SPREAD, backdate, normalise, settle
from bluestone.image.tree import Entry, content_size, differences, digest, manifest
from bluestone.model.problem import Problem

names = st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and b"\0" not in name)
entries = st.builds(
    Entry,
    path=names,
    kind=st.sampled_from(["file", "dir", "link"]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**31),
    gid=st.integers(0, 2**31),
    time=st.integers(0, 2**33),
    size=st.integers(0, 2**50),
    content=st.binary(max_size=30),
    capability=st.binary(max_size=24),
)


@given(entries)
def test_a_line_is_read_back_whatever_the_name(entry: Entry) -> None:
    line = entry.line()
    assert Entry.parse(line) == entry
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert line.count(" ") == 8


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "root"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "a file").write_text("content")
    (tree / "etc" / "link").symlink_to("a file")
    backdate(tree)
    return tree


def test_a_manifest_says_all_that_matters(root: Path) -> None:
    before = manifest(root)
    assert content_size(before) == (7, 1)
    paths = [Entry.parse(line).path for line in before.splitlines()]
    assert paths == [b"etc", b"etc/a file", b"etc/link"]
    file = root / "etc" / "a file"
    file.chmod(0o4755)
    assert differences(before, manifest(root)) == ["/etc/a file"]
    file.chmod(0o644)
    assert digest(manifest(root)) == digest(before)
    (root / "etc" / "link").unlink()
    os.utime(root / "etc", (EPOCH, EPOCH))
    assert differences(before, manifest(root)) == ["/etc/link"]
    os.utime(file, (1, 1))
    assert differences(before, manifest(root)) == ["/etc/a file", "/etc/link"]


def test_a_socket_is_refused_with_its_path(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(root / "s"))
        with pytest.raises(Problem, match="/s in the image is a socket"):
            manifest(root)


def test_a_file_of_the_recipe_gets_a_time_made_from_its_content(root: Path) -> None:
    """A page's ETag is its time and size: another page of the same size must have another time."""
    page = root / "page"
    times = []
    for text in ("Version 1", "Version 2", "Version 1"):
        page.write_text(text)
        settle(root)
        times.append(page.stat().st_mtime)
    assert times[0] != times[1]
    assert times[0] == times[2]
    assert all(EPOCH < time <= EPOCH + SPREAD for time in times)
    assert (root / "etc" / "a file").stat().st_mtime == EPOCH
    assert (root / "etc").stat().st_mtime == EPOCH
    assert (root / "etc" / "link").lstat().st_mtime == EPOCH


def test_host_and_day_are_taken_out_and_directories_stay(root: Path) -> None:
    for name in (
        "etc/hostname",
        "etc/passwd-",
        "etc/apt/sources.list.d/x.list",
        "etc/ssh/ssh_host_rsa_key",
        "etc/machine-id",
        "tmp/x/y",
        "var/log/nginx/access.log",
        "var/cache/apt/pkgcache.bin",
        "var/lib/dpkg/status-old",
        "usr/share/kept",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of the host")
    (root / "etc" / "resolv.conf").symlink_to("/run/resolv.conf")
    normalise(root)
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())
    assert left == ["etc/a file", "etc/link", "etc/machine-id", "etc/resolv.conf", "usr/share/kept"]
    assert (root / "etc" / "machine-id").read_text() == ""
    assert (root / "etc" / "resolv.conf").read_text() == ""
    assert not (root / "etc" / "resolv.conf").is_symlink()
    assert (root / "var" / "log" / "nginx").is_dir()
    assert list((root / "tmp").iterdir()) == []


def test_normalising_twice_changes_nothing(root: Path) -> None:
    (root / "page").write_text("x")
    normalise(root)
    once = manifest(root)
    normalise(root)
    assert manifest(root) == once
