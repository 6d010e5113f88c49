"""The bill of a small tree with one of everything."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bluestone.image.sbom import silent
from bluestone.image.sbom.bills import CYCLONEDX, SPDX
from bluestone.image.sbom.scan import scan
from bluestone.image.sbom.walk import contents
from bluestone.image.tree import digest, manifest
from bluestone.model.bom import Bom, Component
from sbom_tree import elf, plant, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    plant(root)
    return root


@pytest.fixture
def bom(root: Path) -> Bom:
    return contents(root, manifest(root))


def of(bom: Bom, kind: str) -> list[Component]:
    return [each for each in bom.components if each.ecosystem == kind]


def test_debian_packages_and_the_sources_that_they_were_built_from(bom: Bom) -> None:
    assert (bom.distribution, bom.release) == ("debian", "13")
    app, bash = of(bom, "deb")
    assert (app.name, app.version, app.source, app.source_version) == ("app", "1:1.0-2+b1", "app-source", "1:1.0-2")
    assert app.purl == "pkg:deb/debian/app@1:1.0-2%2Bb1?arch=amd64&distro=debian-13"
    assert app.built_using == ("golang-1.24 (= 1.24.4-1)", "libx (= 2)", "rust-y (= 3)")
    assert app.licences == bash.licences == ("GPL-3.0-or-later",)
    assert (bash.source, bash.source_version) == ("bash", "5.2.37-2")


def test_languages_packages_and_whose_they_are(bom: Bom) -> None:
    assert [(each.name, each.version, each.owner, each.path) for each in of(bom, "pypi")] == [
        ("My_Pkg", "2.0", "", "/srv/venv/My_Pkg-2.0.dist-info/METADATA"),
        ("plain", "1", "", "/srv/plain-1.egg-info"),
        ("w", "1", "", "/srv/w.whl!w-1.dist-info/METADATA"),
    ]
    assert of(bom, "pypi")[0].purl == "pkg:pypi/my-pkg@2.0"
    assert [each.licences for each in of(bom, "pypi")] == [("MIT",), ("MIT",), ()]
    assert [(each.name, each.version, each.owner, each.declared) for each in of(bom, "npm")] == [
        ("@scope/app", "1.0.0", "app", False),
        ("a", "1", "", True),
        ("b", "2", "", False),
    ]
    assert of(bom, "npm")[0].purl == "pkg:npm/%40scope/app@1.0.0"
    assert of(bom, "npm")[2].licences == ("MIT", "Apache-2.0")


def test_java_archives_and_what_links_call_them(bom: Bom) -> None:
    assert [(each.name, each.version, each.owner, each.path) for each in of(bom, "maven")] == [
        ("com.example:app", "1.0", "", "/srv/shop.war"),
        ("org.ow2.asm:asm", "9.7", "", "/srv/shop.war!WEB-INF/lib/asm.jar"),
        ("org.x:app", "1.0", "app", "/usr/share/maven-repo/org/x/app/1.0/app-1.0.jar"),
    ]
    assert [each.path for each in bom.unidentified] == ["/srv/shop.war!WEB-INF/lib/bad.jar"]


def test_what_programs_were_built_of(bom: Bom) -> None:
    assert [(each.name, each.version, each.owner) for each in of(bom, "golang")] == [
        ("example.org/app", "(devel)", "app"),
        ("example.org/new", "v1.1.0", "app"),
        ("golang.org/x/Net", "v0.30.0", "app"),
        ("stdlib", "1.24.4", "app"),
    ]
    assert of(bom, "golang")[2].purl == "pkg:golang/golang.org/x/net@v0.30.0"
    assert [(each.name, each.version, each.declared) for each in of(bom, "cargo")] == [
        ("rand", "0.8.5", True),
        ("serde", "1.0.1", False),
    ]


def test_files_that_no_package_owns(bom: Bom) -> None:
    found = {each.path: each for each in bom.files}
    assert "/usr/bin/sh" in found, "diverted: it is another's than its list says"
    assert "/srv/naïve file" in found
    assert "/srv/\\xff" in found
    for owned in ("/usr/bin/app", "/usr/bin/bash", "/usr/bin/sh.distrib", "/usr/lib/app/one", "/var/lib/dpkg/status"):
        assert owned not in found
    one = found["/srv/package-lock.json"]
    assert len(one.sha256) == 64
    assert one.size > 0
    assert found["/srv/\\xff"].sha256 == hashlib.sha256(b"a name that is no text").hexdigest()


def test_the_same_tree_has_the_same_bills(root: Path, tmp_path: Path) -> None:
    text = manifest(root)
    assert contents(root, text).image == digest(text)
    bills = []
    for _ in range(2):
        scan(tmp_path, text)
        bills.append([(tmp_path / name).read_bytes() for name in (CYCLONEDX, SPDX)])
    assert bills[0] == bills[1]
    assert str(tmp_path).encode() not in b"".join(bills[0]), "nothing of this machine is in a bill"


def test_a_tree_of_nothing_has_a_bill(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    bom = contents(tmp_path / "root", "")
    assert (bom.components, bom.files, bom.unidentified) == ((), (), ())


def test_links_never_lead_out_of_the_tree(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    put(outside, "status", "Package: of-the-host\nStatus: install ok installed\nVersion: 1\n")
    put(outside, "copyright", "Format: x\nLicense: of-the-host\n")
    put(root, "var/lib/dpkg/info/x.list", "/x\n")
    (root / "var/lib/dpkg/status").symlink_to(outside / "status")
    assert contents(root, manifest(root)).components == ()
    (root / "var/lib/dpkg/status").unlink()
    put(root, "var/lib/dpkg/status", "Package: x\nStatus: install ok installed\nVersion: 1\n")
    (root / "usr/share").mkdir(parents=True)
    (root / "etc").symlink_to(outside)
    put(outside, "os-release", "ID=of-the-host\n")
    assert contents(root, manifest(root)).distribution == "debian"
    (root / "usr/share/doc").symlink_to(outside.parent)
    assert [each.licences for each in contents(root, manifest(root)).components] == [()]
    (root / "usr/share/doc").unlink()
    (root / "usr/share/doc").mkdir()
    (root / "usr/share/doc/x").symlink_to("y")
    (root / "usr/share/doc/y").symlink_to(outside)
    assert [each.licences for each in contents(root, manifest(root)).components] == [()]


def test_programs_that_told_nothing_are_not_opened_again_and_the_bill_is_the_same(root: Path) -> None:
    script, program = _plant_silent(root)
    text, found = manifest(root), set[str]()
    first = contents(root, text, found)
    assert found == {hashlib.sha256(path.read_bytes()).hexdigest() for path in (script, program)}
    script.unlink()
    program.unlink()
    assert contents(root, text, found) == first
    with pytest.raises(FileNotFoundError):
        contents(root, text)


def test_a_stage_keeps_which_programs_are_silent_until_they_are_asked_something_else(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, other = tmp_path / "stage", tmp_path / "other"
    stage.mkdir()
    other.mkdir()
    silent.inherit(stage, other)
    assert silent.recall(other) == set()
    _plant_silent(root)
    scan(tmp_path, manifest(root), stage)
    known = silent.recall(stage)
    assert len(known) == 2
    silent.inherit(stage, other)
    assert silent.recall(other) == known
    monkeypatch.setattr(silent, "_asked", lambda: "something else")
    assert silent.recall(stage) == set()


def _plant_silent(root: Path) -> tuple[Path, Path]:
    """A script and a program that do not tell what they were built from."""
    put(root, "opt/script", "#!/bin/sh\n" + "true\n" * 20, 0o755)
    put(root, "opt/program", elf({b".text": b"x" * 100}), 0o755)
    return root / "opt/script", root / "opt/program"
