"""Locks resolved by real apt, against archives that the tests make and sign: kept pins, upgrades, and bad archives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.image.archive import resolve as resolve_base
from bluestone.image.lock import index
from bluestone.image.lock.diff import diff
from bluestone.image.lock.file import parse, render
from bluestone.image.lock.index import installed
from bluestone.image.lock.pins import KEEP, Upgrade
from bluestone.image.lock.resolve import resolve
from bluestone.image.lock.versions import newer
from bluestone.image.lock.wanted import Wanted
from bluestone.image.packagestore import PackageStore
from bluestone.image.sources import Source
from bluestone.image.store import ImageStore
from bluestone.model.lock import LOCAL, Lock, LockedPackage
from bluestone.model.problem import Problem, Problems
from bluestone.model.recipe import Base
from fake_archive import BASE, SUITE, Archives, Deb, Key, archives, key

pytestmark = pytest.mark.e2e

WEB = (
    Deb("web", "1.0", depends="web-common (= 1.0), libz", source="webserver"),
    Deb("web-common", "1.0", source="webserver"),
    Deb("libz", "1:1.2-3+b1", source="zlib (1:1.2-3)"),
)
NEWER = (
    Deb("web", "1.1", depends="web-common (= 1.1), libz", source="webserver"),
    Deb("web-common", "1.1", source="webserver"),
    Deb("libz", "1:1.2-3+b1", source="zlib (1:1.2-3)"),
    Deb("tool", "2.0", depends="libz"),
)
BASE_NAMES = {deb.name for deb in BASE}


@pytest.fixture(scope="module")
def signing() -> Iterator[Key]:
    with key() as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, signing: Key) -> Iterator[Archives]:
    with archives(tmp_path / "archives", signing) as made:
        made.publish("debian", SUITE, [*BASE, *WEB])
        made.publish("debian-security", f"{SUITE}-security", [])
        yield made


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    return PackageStore(tmp_path / "packages")


def lock(
    site: Archives,
    store: PackageStore,
    *asked: str,
    old: Lock | None = None,
    upgrade: Upgrade = KEEP,
    more: tuple[Source, ...] = (),
    debs: dict[str, Path] | None = None,
    tools: dict[str, tuple[str, ...]] | None = None,
) -> Lock:
    wanted = Wanted(site.base(*more), asked, debs or {}, tools or {})
    return resolve(wanted, store, print, old=old, upgrade=upgrade)


def versions(lock: Lock) -> dict[str, str]:
    return {package.name: package.version for package in lock.packages}


def changed(old: Lock, new: Lock) -> dict[str, tuple[str, str]]:
    return {change.name: (change.old, change.new) for change in diff(old, new, newer).packages}


def package(lock: Lock, name: str) -> LockedPackage:
    return next(package for package in lock.packages if package.name == name)


def test_a_lock_has_the_base_and_what_is_asked_for(site: Archives, store: PackageStore) -> None:
    made = lock(site, store, "web")
    assert versions(made).keys() == BASE_NAMES | {"web", "web-common", "libz"}
    assert {each.name for each in made.packages if each.required} == BASE_NAMES
    libz = package(made, "libz")
    assert (libz.source, libz.source_version, libz.archive, libz.suite) == ("zlib", "1:1.2-3", "main", SUITE)
    assert store.missing(made.packages) == []
    assert store.check() == []
    assert made.date == int(max(release.date for release in made.releases).timestamp())
    assert [(release.archive, release.suite) for release in made.releases] == [
        ("main", SUITE),
        ("security", f"{SUITE}-security"),
    ]
    assert parse(render(made)) == made
    assert lock(site, store, "web") == made, "the same archive gives the same lock"


def test_on_a_real_archive_it_is_what_mmdebstrap_installs(shared_home: Path) -> None:
    """Its variant `minbase` with the same packages, resolved by itself from the same archive."""
    base, names = resolve_base(Base("debian", "trixie")), ("dbus", "nginx-light", "python3-minimal", "systemd-sysv")
    made = resolve(Wanted(base, names), ImageStore(shared_home / "images").packages, print)
    options = ("--simulate", "--verbose", "--variant=minbase", f"--keyring={base.keyring}")
    sources = "".join(f"deb {each.uri} {each.suite} {' '.join(each.components)}\n" for each in base.sources)
    command = ["mmdebstrap", *options, f"--include={','.join(names)}", "trixie", os.devnull, "-"]
    done = subprocess.run(command, input=sources, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    theirs = set(re.findall(r"(?m)^Inst (\S+) \((\S+) ", done.stdout + done.stderr))
    assert {(each.name, each.version) for each in made.packages} == theirs
    assert len(theirs) > 80


def test_adding_a_package_moves_nothing_else(site: Archives, store: PackageStore) -> None:
    old = lock(site, store, "web")
    site.publish("debian", SUITE, [*BASE, *NEWER])
    new = lock(site, store, "web", "tool", old=old)
    assert changed(old, new) == {"tool": ("", "2.0")}
    assert {r.sha256 for r in new.releases} != {r.sha256 for r in old.releases}


def test_nothing_changes_where_nothing_is_asked_for_anew(site: Archives, store: PackageStore) -> None:
    old = lock(site, store, "web")
    site.publish("debian", SUITE, [*BASE, *NEWER])
    assert lock(site, store, "web", old=old) == old


def test_removing_a_package_removes_what_only_it_needed(site: Archives, store: PackageStore) -> None:
    old = lock(site, store, "web")
    new = lock(site, store, old=old)
    assert changed(old, new) == {"web": ("1.0", ""), "web-common": ("1.0", ""), "libz": ("1:1.2-3+b1", "")}
    assert new.releases == old.releases


def test_a_new_package_takes_along_what_it_needs_newer(site: Archives, store: PackageStore) -> None:
    old = lock(site, store, "web")
    extra = Deb("extra", depends="web-common (>= 1.1)")
    site.publish("debian", SUITE, [*BASE, *NEWER, extra])
    new = lock(site, store, "web", "extra", old=old)
    assert changed(old, new) == {"extra": ("", "1.0"), "web": ("1.0", "1.1"), "web-common": ("1.0", "1.1")}


def test_an_upgrade_moves_all_or_those_that_are_named(site: Archives, store: PackageStore) -> None:
    old = lock(site, store, "web", "tzdata")
    base = [deb if deb.name != "tzdata" else replace(deb, version="2026b") for deb in BASE]
    site.publish("debian", SUITE, [*base, *NEWER])
    everything = lock(site, store, "web", "tzdata", old=old, upgrade=Upgrade(everything=True))
    web = {"web": ("1.0", "1.1"), "web-common": ("1.0", "1.1")}
    assert changed(old, everything) == web | {"tzdata": ("2026a", "2026b")}
    for name in ("web", "webserver"):
        named = lock(site, store, "web", "tzdata", old=old, upgrade=Upgrade(names=frozenset({name})))
        assert changed(old, named) == web, f"{name} and what it needs"
    with pytest.raises(Problem, match="no package, binary or source, called nginx"):
        lock(site, store, "web", old=old, upgrade=Upgrade(names=frozenset({"nginx"})))


def test_a_security_upgrade_takes_what_the_security_suite_has_newer(site: Archives, store: PackageStore) -> None:
    old = lock(site, store, "web")
    base = [deb if deb.name != "tzdata" else replace(deb, version="2026b") for deb in BASE]
    site.publish("debian", SUITE, [*base, *WEB])
    fixes = [Deb("libz", "1:1.2-3+deb13u1", source="zlib"), Deb("dpkg", "1.21", priority="required", essential=True)]
    site.publish("debian-security", f"{SUITE}-security", fixes, label="Security")
    new = lock(site, store, "web", old=old, upgrade=Upgrade(security=True))
    assert changed(old, new) == {"libz": ("1:1.2-3+b1", "1:1.2-3+deb13u1")}
    assert package(new, "libz").archive == "security"


def test_the_store_serves_what_the_archive_has_dropped(site: Archives, store: PackageStore) -> None:
    old = lock(site, store, "web")
    shutil.rmtree(site.directory / "debian")
    store.ensure(old.packages, site.base(), print)
    site.publish("debian", SUITE, [*BASE, *NEWER])
    store.remove(package(old, "web").sha256, package(old, "tzdata").sha256)
    with pytest.raises(Problem, match=r"1 packages of the lock are lost.*\n +web 1\.0 .*404") as lost:
        store.ensure(old.packages, site.base(), print)
    assert lost.value.mend.endswith("bluestone lock --upgrade web")
    assert store.missing(old.packages) == [package(old, "web")], "what is still there was fetched"
    with pytest.raises(Problem, match=r"lost: .* has web 1\.0") as gone:
        lock(site, store, "web", "tool", old=old)
    assert gone.value.mend.endswith("bluestone lock --upgrade web")


def test_a_file_that_was_replaced_under_the_same_version_is_not_taken(site: Archives, store: PackageStore) -> None:
    old = lock(site, store, "web")
    site.publish("debian", SUITE, [*BASE, *WEB[:2], replace(WEB[2], more="Homepage: https://example.org")])
    assert lock(site, store, "web", "tzdata", old=old).packages == old.packages
    store.remove(package(old, "libz").sha256)
    with pytest.raises(Problem, match=r"not those of the lock.*\n +libz 1:1\.2") as corrupt:
        store.ensure(old.packages, site.base(), print)
    assert "--upgrade libz" in corrupt.value.mend
    new = lock(site, store, "web", old=old, upgrade=Upgrade(names=frozenset({"libz"})))
    assert [change.kind for change in diff(old, new, newer).packages] == ["replaced"]


def test_a_corrupt_package_never_enters_the_store(site: Archives, store: PackageStore) -> None:
    made = lock(site, store, "web")
    web = package(made, "web")
    store.remove(web.sha256)
    file = site.directory / "debian" / web.path
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    with pytest.raises(Problem, match="not those of the lock"):
        store.ensure(made.packages, site.base(), print)
    assert store.missing(made.packages) == [web]
    assert [entry for entry in store.directory.iterdir() if entry.name.startswith(".new-")] == []


@pytest.mark.parametrize("fault", ["unsigned", "wrong key", "expired", "future", "no suite", "unreachable"])
def test_an_archive_that_cannot_be_trusted_is_refused(fault: str, site: Archives, store: PackageStore) -> None:
    debs, what = [*BASE, *WEB], ""
    now = datetime.now(UTC)
    base = site.base()
    match fault:
        case "unsigned":
            site.publish("debian", SUITE, debs, key=None)
            what = "is not signed by a key in"
        case "wrong key":
            with key() as other:
                site.publish("debian", SUITE, debs, key=other)
            what = "is not signed by a key in"
        case "expired":
            site.publish("debian", SUITE, debs, date=now - timedelta(days=30))
            what = "release has expired"
        case "future":
            site.publish("debian", SUITE, debs, date=now + timedelta(days=30))
            what = "is of the future"
        case "no suite":
            base = replace(base, sources=(replace(base.sources[0], suite="forky"), base.sources[1]))
            what = "has no suite called forky"
        case "unreachable":
            base = replace(base, sources=(replace(base.sources[0], uri="http://127.0.0.1:1/debian"), base.sources[1]))
            what = "cannot be reached: http://127.0.0.1:1/debian"
    with pytest.raises(Problems) as refused:
        resolve(Wanted(base, ("web",)), store, print)
    problems = refused.value.problems
    assert [what in problem.what for problem in problems] == [True], str(refused.value)
    assert problems[0].mend
    assert problems[0].left == "the lock is as it was"
    assert store.missing([]) == []
    assert list(store.directory.glob("*.deb")) == []


def test_an_archive_that_wants_a_password_gets_it(signing: Key, store: PackageStore, tmp_path: Path) -> None:
    with archives(tmp_path / "archives", signing, login="ann:secret") as site:
        site.publish("debian", SUITE, BASE)
        site.publish("debian-security", f"{SUITE}-security", [])
        base = site.base()
        with pytest.raises(Problems, match=r"refuses this machine: http://127.0.0.1:\d+/debian: 401 Unauthorized"):
            resolve(Wanted(base, ()), store, print)
        known = replace(base, logins={source.uri: "ann:secret" for source in base.sources})
        made = resolve(Wanted(known, ()), store, print)
        assert store.missing(made.packages) == []


def test_packages_that_do_not_exist_or_clash_are_named(site: Archives, store: PackageStore) -> None:
    with pytest.raises(Problem, match="no package called gone or wbe"):
        lock(site, store, "wbe", "gone")
    site.publish("debian", SUITE, [*BASE, *WEB, Deb("other", more="Conflicts: web"), Deb("lame", depends="nothing")])
    with pytest.raises(Problem, match="cannot be installed together"):
        lock(site, store, "web", "other")
    with pytest.raises(Problem, match=r"cannot be installed together:(.|\n)*lame : Depends: nothing"):
        lock(site, store, "lame")
    site.publish("debian", SUITE, [*BASE, Deb("other", more="Conflicts: tzdata")])
    with pytest.raises(Problem, match="cannot be installed beside tzdata"):
        lock(site, store, "other")


def test_further_archives_have_keys_of_their_own(site: Archives, store: PackageStore, tmp_path: Path) -> None:
    with key(armour=True) as own:
        site.publish("tools", "stable", [Deb("elastic", "9.1", depends="libz")], key=own, valid_for=None)
        site.publish("flat", "./", [Deb("flat", "0.1")], key=own)
        site.publish("bare", "/", [Deb("bare", "0.2")], key=own)
        tools = Source(f"{site.address}/tools", "stable", ("main",), str(own.keyring), archive="tools")
        flat = Source(f"{site.address}/flat", "./", (), str(own.keyring), archive="flat")
        bare = Source(f"{site.address}/bare", "/", (), str(own.keyring), archive="bare")
        made = lock(site, store, "elastic", "flat", "bare", more=(tools, flat, bare))
        assert ("bare", "/") in [(each.archive, each.suite) for each in made.releases]
        assert (package(made, "elastic").archive, package(made, "elastic").suite) == ("tools", "stable")
        assert package(made, "flat").path == "pool/" + Deb("flat", "0.1").file
        assert parse(render(made)) == made
        store.remove(package(made, "flat").sha256)
        store.ensure(made.packages, site.base(tools, flat, bare), print)
        with pytest.raises(Problems, match=r"tools is not signed by a key in(.|\n)*image.archives.tools.key"):
            lock(site, store, "elastic", more=(replace(tools, signed_by=str(site.key.keyring)),))


def test_local_packages_are_installed_with_what_they_need(site: Archives, store: PackageStore, tmp_path: Path) -> None:
    (tmp_path / "packages-in").mkdir()
    app = Deb("app", "3.0", depends="libz").build(tmp_path / "packages-in")
    # Older than the archive's, and wanted nevertheless.
    web = Deb("web", "0.9").build(tmp_path / "packages-in")
    made = lock(site, store, debs={"in/app.deb": app, "in/web.deb": web})
    assert versions(made).items() >= {"app": "3.0", "web": "0.9", "libz": "1:1.2-3+b1"}.items()
    assert (package(made, "app").archive, package(made, "app").path) == (LOCAL, "in/app.deb")
    assert parse(render(made)) == made
    store.remove(package(made, "app").sha256)
    with pytest.raises(Problem, match=r"app 3\.0 \(in/app\.deb\)"):
        store.ensure(made.packages, site.base(), print)
    (tmp_path / "text.deb").write_text("no package")
    with pytest.raises(Problem) as broken:
        lock(site, store, debs={"text.deb": tmp_path / "text.deb"})
    assert "image.debs" in broken.value.mend or "replace it" in broken.value.mend


def test_tools_are_resolved_on_top_and_have_only_what_the_image_lacks(site: Archives, store: PackageStore) -> None:
    site.publish("debian", SUITE, [*BASE, *NEWER, Deb("puppet", "8.0", depends="libz, ruby"), Deb("ruby", "3.3")])
    made = lock(site, store, "web", tools={"puppet": ("puppet",)})
    assert [each.name for each in made.tools["puppet"]] == ["puppet", "ruby"]
    assert {"puppet", "ruby"}.isdisjoint(versions(made))
    assert store.missing(made.tools["puppet"]) == []
    again = lock(site, store, "web", old=made, tools={"puppet": ("puppet",)})
    assert again == made


def test_sweeping_keeps_what_is_reachable(site: Archives, store: PackageStore) -> None:
    made = lock(site, store, "web")
    kept = {package.sha256 for package in made.packages if package.name != "web"}
    now = datetime.now(UTC)
    assert store.sweep(kept, now - timedelta(hours=1)) == [], "they have only just come"
    assert store.sweep(kept, now + timedelta(hours=1)) == [package(made, "web").sha256]
    assert [each.name for each in store.missing(made.packages)] == ["web"]


@pytest.mark.parametrize("full", ["BLUESTONE_HOME", "TMPDIR"])
def test_a_full_disk_is_said_and_nothing_half_made_stays(
    full: str, site: Archives, store: PackageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k,mode=755", "none", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("machine: no file system can be mounted here")
    try:
        if full == "TMPDIR":
            monkeypatch.setenv("TMPDIR", str(small))
        else:
            store = PackageStore(small / "packages")
        with pytest.raises((Problem, Problems), match="the disk is full") as raised:
            lock(site, store, "web")
        assert "free some space" in str(raised.value)
        left = [path for path in small.rglob("*") if path.name.startswith((".new-", "bluestone-apt-"))]
        assert left == []
        assert store.check() == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_what_was_chosen_is_not_chosen_again(
    site: Archives, store: PackageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """apt may take an installed package for another build of its version, and offer it again (Ubuntu's gcc-14-base)."""

    def otherwise(stanzas: Iterable[str]) -> str:
        return installed(text.replace("Installed-Size: 1", "Installed-Size: 2") for text in stanzas)

    monkeypatch.setattr(index, "installed", otherwise)
    made = lock(site, store, "web", "tzdata")
    names = [each.name for each in made.packages]
    assert sorted(names) == sorted({*BASE_NAMES, "web", "web-common", "libz"})
