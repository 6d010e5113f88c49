"""The package store: whole files under their own digests, and nothing else."""

from __future__ import annotations

import fcntl
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.image.archive import ResolvedBase
from bluestone.image.packagestore import Corrupt, PackageStore
from bluestone.image.repository import release
from bluestone.image.sources import Source
from bluestone.model.lock import LOCAL
from bluestone.model.problem import Problem
from lock_examples import LOCK, package

BASE = ResolvedBase("debian", "trixie", "amd64", Path("/k"), (Source("http://m.example.org/debian", "trixie", ()),))


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    return PackageStore(tmp_path / "packages")


def test_a_file_is_kept_under_its_digest_for_its_owner_alone(store: PackageStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    sha256 = store.add(tmp_path / "a")
    assert sha256 == hashlib.sha256(b"content").hexdigest()
    assert store.path(sha256).read_bytes() == b"content"
    assert store.directory.stat().st_mode & 0o777 == 0o700
    kept = replace(package(), sha256=sha256, size=7)
    assert store.missing([kept, replace(kept, size=8), package()]) == [replace(kept, size=8), package()]


def test_what_is_not_what_was_expected_is_not_kept(store: PackageStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    for wrong in (package(), replace(package(), sha256=hashlib.sha256(b"content").hexdigest(), size=6)):
        with pytest.raises(Corrupt):
            store.add(tmp_path / "a", wrong)
    assert [entry.name for entry in store.directory.iterdir()] == []


@given(st.text(max_size=70).filter(lambda text: len(text) != 64))
def test_only_digests_name_files(text: str) -> None:
    with pytest.raises(ValueError, match="is no SHA-256"):
        PackageStore(Path("/p")).path(text)


def test_bytes_that_changed_in_the_store_are_found(store: PackageStore, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        store.add(tmp_path / name)
    assert store.check() == []
    spoilt = store.path(hashlib.sha256(b"a").hexdigest())
    spoilt.chmod(0o600)
    spoilt.write_text("A")
    assert store.check() == [spoilt.stem]


def test_nothing_is_swept_while_somebody_uses_the_store(store: PackageStore) -> None:
    with store.in_use(), (store.directory / "lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        fcntl.flock(other, fcntl.LOCK_UN)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (store.directory / "lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_cannot_be_fetched_at_all_is_told_before_anything_is_asked(store: PackageStore) -> None:
    with pytest.raises(Problem, match="an archive that is not declared: elastic"):
        store.ensure([package(archive="elastic")], BASE, print)
    with pytest.raises(Problem, match=r"lost(.|\n)*app 1 \(in/app\.deb\): it is gone"):
        store.ensure([package("app", "1", archive=LOCAL, path="in/app.deb")], BASE, print)


def test_a_repository_is_dated_by_its_lock() -> None:
    text = release(LOCK, b"Package: web\n")
    assert "Suite: trixie\nCodename: trixie\nDate: Fri, 20 Nov 2026 08:30:00 UTC\n" in text
    assert f" {hashlib.sha256(b'Package: web' + bytes([10])).hexdigest()} 13 Packages\n" in text


def test_decompressed_packages_go_with_theirs_and_when_they_were_not_used(store: PackageStore, tmp_path: Path) -> None:
    kept, idle, gone = (_added(store, tmp_path, name) for name in ("kept", "idle", "gone"))
    now = datetime.now(UTC)
    old = (now - timedelta(days=2)).timestamp()
    for sha256, used in ((kept, now.timestamp()), (idle, old), (gone, old)):
        store.plain(sha256).write_bytes(b"plain")
        os.utime(store.plain(sha256), (used, used))
        os.utime(store.path(sha256), (old, old))
    assert store.sweep({kept, idle}, now - timedelta(days=1)) == [gone]
    assert sorted(path.name for path in store.directory.iterdir() if path.name != "lock") == sorted(
        [f"{kept}.deb", f"{kept}.plain", f"{idle}.deb"]
    )


def _added(store: PackageStore, place: Path, name: str) -> str:
    (place / name).write_text(name)
    return store.add(place / name)
