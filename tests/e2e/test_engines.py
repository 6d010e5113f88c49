"""The engines make the same trees of the same locks, byte for byte; and trees that are changed are as those made anew.

By continuous integration a few recipes are tried; `./dev bench images` tries many.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.image.archive import of_recipe
from bluestone.image.builders.mmdebstrap import Mmdebstrap
from bluestone.image.builders.own.engine import Own
from bluestone.image.builders.port import Engine
from bluestone.image.install import Order
from bluestone.image.packagestore import PackageStore
from bluestone.image.route import engine_name
from bluestone.image.store import ImageStore
from bluestone.image.tree import differences
from bluestone.image.worker import carry_out
from bluestone.model.lock import Lock, LockedPackage
from bluestone.model.recipe import Base, Recipe
from debs import locked, make_deb
from locked import lock_of

pytestmark = pytest.mark.e2e

SERVER = ("nginx-light", "python3-minimal")
MORE = (*SERVER, "less", "tree")
"""One more with scripts and an alternative, and one that has nothing."""

MAKE_ACCOUNT = """#!/bin/sh
set -e
case $1 in configure) ;; *) exit 0 ;; esac
useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin bs-{0}
install -d -o bs-{0} -g adm -m 2750 /var/lib/bs-{0}
install -m 4755 -o bs-{0} /bin/true /usr/lib/bs-{0}-helper
date > /var/log/bs-{0}.log
"""
DIVERT = """#!/bin/sh
set -e
[ "$1" != install ] || dpkg-divert --package bs-divert --add --rename --divert /usr/bin/bs-tool.web /usr/bin/bs-tool
"""


@pytest.fixture(scope="module")
def store(shared_home: Path) -> ImageStore:
    return ImageStore(shared_home / "images")


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="bs-t-", dir="/var/tmp"))
    yield directory
    shutil.rmtree(directory)


def lock_for(store: ImageStore, packages: tuple[str, ...], debs: tuple[Path, ...]) -> Lock:
    """A lock of packages and of files of packages, all of which are in the store."""
    recipe = Recipe(Base("debian", "trixie"), packages=packages)
    lock = lock_of(recipe, store)
    store.packages.ensure(lock.packages, of_recipe(recipe), print)
    return replace(lock, packages=(*lock.packages, *(locked(deb, store.packages) for deb in debs)))


def old_and_new(place: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Packages that are hard to do right, and the next versions of them."""
    web = make_deb(
        place,
        "bs-web",
        "1",
        {
            "etc/bs-web/kept": "1",
            "etc/bs-web/dropped": "1",
            "etc/bs-web/same": "same",
            "usr/bin/bs-tool": "of web",
            "usr/share/bs-web/old": "old",
            "usr/share/bs-web/taken": "of web",
        },
        {
            "conffiles": "/etc/bs-web/kept\n/etc/bs-web/dropped\n/etc/bs-web/same\n",
            "postinst": MAKE_ACCOUNT.format("web"),
        },
        Depends="passwd",
    )
    divert = make_deb(
        place,
        "bs-divert",
        "1",
        {"usr/bin/bs-tool": "of divert"},
        {"preinst": DIVERT, "postinst": MAKE_ACCOUNT.format("divert")},
    )
    replacing = make_deb(
        place, "bs-replacing", "1", {"usr/share/bs-web/taken": "of replacing"}, Replaces="bs-web", Depends="bs-web"
    )
    upgraded = make_deb(
        place,
        "bs-web",
        "2",
        {
            "etc/bs-web/kept": "2",
            "etc/bs-web/same": "same",
            "etc/bs-web/new": "2",
            "usr/bin/bs-tool": "of web 2",
            "usr/share/bs-web/taken": "of web 2",
            "usr/share/bs-web/new": "new",
        },
        {
            "conffiles": "/etc/bs-web/kept\n/etc/bs-web/same\n/etc/bs-web/new\n",
            "postinst": MAKE_ACCOUNT.format("web").replace("useradd", "id bs-web > /dev/null 2>&1 || useradd"),
        },
        Depends="passwd",
    )
    return (web, divert, replacing), (upgraded, divert, replacing)


def made(
    engine: type[Engine],
    lock: Lock,
    packages: PackageStore,
    place: Path,
    below: Path | None = None,
    before: Lock | None = None,
) -> str:
    """The manifest of a tree that an engine makes in a new directory."""
    place.mkdir()
    order = Order(engine_name(engine()), lock, packages.directory, place, below, before)
    made_new = carry_out("bluestone.image.install", order, bool, progress=print, timeout=600)
    assert made_new == (below is None)
    return (place / "manifest").read_text()


Locks = tuple[Lock, Lock]


@pytest.fixture(scope="module")
def locks(store: ImageStore, work: Path) -> Locks:
    old, new = old_and_new(work)
    return lock_for(store, SERVER, old), lock_for(store, MORE, new)


@pytest.fixture(scope="module")
def server(locks: Locks, store: ImageStore, work: Path) -> str:
    return made(Own, locks[0], store.packages, work / "own")


def test_the_tree_is_that_of_mmdebstrap(server: str, locks: Locks, store: ImageStore, work: Path) -> None:
    theirs = made(Mmdebstrap, locks[0], store.packages, work / "theirs")
    assert differences(server, theirs) == []
    assert server == theirs
    root = work / "own/root"
    assert (root / "usr/bin/bs-tool").read_text() == "of divert"
    assert (root / "usr/bin/bs-tool.web").read_text() == "of web"
    assert (root / "usr/share/bs-web/taken").read_text() == "of replacing"
    (row,) = [row for row in (root / "etc/passwd").read_text().splitlines() if row.startswith("bs-web:")]
    helper = (root / "usr/lib/bs-web-helper").stat()
    assert (str(helper.st_uid), helper.st_mode & 0o7777) == (row.split(":")[2], 0o4755)


def test_a_changed_tree_is_as_one_made_anew(server: str, locks: Locks, store: ImageStore, work: Path) -> None:
    assert server
    grown = made(Own, locks[1], store.packages, work / "grown", work / "own", locks[0])
    assert (work / "grown/root/etc/bs-web/kept").read_text() == "2"
    assert not (work / "grown/root/etc/bs-web/dropped").exists()
    anew = made(Own, locks[1], store.packages, work / "anew")
    assert differences(grown, anew) == []
    assert grown == anew


def test_what_ran_scripts_is_not_taken_out_of_a_tree(server: str, locks: Locks, work: Path) -> None:
    assert server
    without = {name: replace(locks[0], packages=_without(locks[0], name)) for name in ("bs-web", "nginx-light")}
    assert not Own().can_change(locks[0], without["bs-web"], work / "own/root")
    assert Own().can_change(locks[0], without["nginx-light"], work / "own/root")


def _without(lock: Lock, name: str) -> tuple[LockedPackage, ...]:
    return tuple(package for package in lock.packages if package.name != name)
