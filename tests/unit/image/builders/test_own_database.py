"""What is written as dpkg's database is what dpkg itself writes when it unpacks the same packages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bluestone.image.builders.own import database, shelf, tar
from bluestone.image.builders.own.archive import Plain, read_plain, write_plain
from bluestone.image.packagestore import PackageStore
from bluestone.model.problem import Problem
from debs import locked, make_deb


@pytest.fixture
def plains(tmp_path: Path) -> list[Plain]:
    debs = [
        make_deb(
            tmp_path,
            "conf",
            "1",
            {"etc/conf/a": "one", "etc/conf/b c": "two", "usr/share/conf/x": "x"},
            {"conffiles": "/etc/conf/a\n/etc/conf/b c\n"},
            Depends="libx (>= 1), other | more",
        ),
        make_deb(
            tmp_path,
            "libx",
            "1",
            {"usr/lib/libx.so.1": "x"},
            {
                "triggers": "activate-noawait ldconfig\ninterest-noawait /usr/share/x\ninterest named\n",
                "md5sums": "0  a\n",
            },
            Multi_Arch="same",
            compression="xz",
        ),
        make_deb(
            tmp_path,
            "script",
            "1",
            {"usr/bin/s": "s"},
            {"postinst": "#!/bin/sh\nexit 0\n", "triggers": "interest named\n"},
        ),
    ]
    found = []
    for deb in debs:
        write_plain(deb, deb.with_suffix(".plain"))
        plain = read_plain(deb.with_suffix(".plain"))
        assert plain is not None
        found.append(plain)
    return found


def by_dpkg(root: Path, plains: list[Plain]) -> Path:
    """The database that dpkg writes of the plain packages."""
    admin = root / "var/lib/dpkg"
    for name in ("info", "updates", "triggers"):
        (admin / name).mkdir(parents=True)
    (admin / "status").touch()
    options = ["--force-not-root", "--force-depends", "--force-bad-path", "--no-triggers", "--log=/dev/null"]
    line = ["dpkg", f"--root={root}", *options, "--unpack", *(str(plain.path) for plain in plains)]
    subprocess.run(line, check=True, capture_output=True, env=os.environ | {"LC_ALL": "C"})
    return admin


def sorted_lines(path: Path) -> list[str]:
    return sorted(path.read_text().splitlines())


def test_the_database_is_that_of_dpkg(plains: list[Plain], tmp_path: Path) -> None:
    theirs, ours = by_dpkg(tmp_path / "root", plains), tmp_path / "ours"
    ours.mkdir()
    database.write(ours, [(plain, list(tar.read(plain.data))) for plain in plains])
    names = {path.relative_to(theirs) for part in ("info", "triggers") for path in (theirs / part).glob("*")}
    names -= {Path("triggers/Lock")}
    assert names == {path.relative_to(ours) for part in ("info", "triggers") for path in (ours / part).glob("*")}
    for name in names:
        # Of the lists the order is dpkg's own.
        assert sorted_lines(ours / name) == sorted_lines(theirs / name), name
        assert (ours / name).stat().st_mode == (theirs / name).stat().st_mode, name
    # dpkg has laid no configuration file yet, and so knows no digest of one.
    text = (ours / "status").read_text()
    for content in ("one", "two"):
        text = text.replace(database.md5(content.encode()), "newconffile")
    assert sorted(text.split("\n")) == sorted((theirs / "status").read_text().split("\n"))


def test_a_configuration_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    tree = make_deb(tmp_path, "conf", "1", {"etc/a": "a"}, {"conffiles": "/etc/a\n"})
    write_plain(tree, tmp_path / "plain")
    plain = read_plain(tmp_path / "plain")
    assert plain is not None
    with pytest.raises(ValueError, match="/etc/a"):
        database.stanza(plain, [])


def test_obsolete_configuration_files_are_forgotten() -> None:
    digest = "0" * 32
    text = f"Package: a\nConffiles:\n /etc/a {digest}\n /etc/b {digest} obsolete\nDescription: a\n /x y obsolete\n\n"
    text += f"Package: b\nConffiles:\n /etc/c {digest} obsolete\nDescription: b\n"
    kept, gone = database.without_obsolete(text)
    assert gone == ["/etc/b", "/etc/c"]
    assert kept == (
        f"Package: a\nConffiles:\n /etc/a {digest}\nDescription: a\n /x y obsolete\n\nPackage: b\nDescription: b\n"
    )


def test_a_plain_package_is_made_once_and_again_when_it_is_not_what_it_was(tmp_path: Path) -> None:
    store = PackageStore(tmp_path / "store")
    package = locked(make_deb(tmp_path, "a", "1", {"usr/a": "content"}), store)
    (made,) = shelf.take([package], store)
    kept = store.plain(package.sha256)
    assert made.path == kept
    first = kept.stat().st_ino
    assert shelf.take([package], store)[0].path.stat().st_ino == first
    spoilt = bytearray(kept.read_bytes())
    spoilt[spoilt.index(b"content")] ^= 1
    kept.write_bytes(spoilt)
    (again,) = shelf.take([package], store)
    assert [bytes(each.content) for each in tar.read(again.data) if each.kind == tar.FILE] == [b"content"]
    assert [path.name for path in store.directory.glob(".new-*")] == []
    kept.write_bytes(b"")
    assert shelf.take([package], store)[0].key == "a:amd64"


def test_a_damaged_package_is_named(tmp_path: Path) -> None:
    store = PackageStore(tmp_path / "store")
    package = locked(make_deb(tmp_path, "a", "1", {"usr/a": "content"}), store)
    deb = store.path(package.sha256)
    deb.chmod(0o600)
    deb.write_bytes(deb.read_bytes()[:-1] + b"x")
    with pytest.raises(Problem, match="a 1 is damaged"):
        shelf.take([package], store)
    assert not store.plain(package.sha256).exists()
