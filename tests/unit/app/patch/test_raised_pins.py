"""Pins in files of a declaration: found from what an image holds, raised, and put back."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestone.app.patch.bumps import bumps, raise_pins
from bluestone.app.project import Project
from bluestone.model.advisory import Advisory
from bluestone.model.bom import Component, Ecosystem
from bluestone.model.exposure import Exposure, Verdict
from bluestone.model.ids import Digest

DECLARED = """
project = "shop"
[image]
base = "debian:trixie"
files = { "/srv/app" = "app", "/srv/shop.jar" = "build/shop.jar" }
"""
FLAW = Advisory("PYSEC-1", "osv", aliases=("CVE-2026-1",))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "h"))
    for name in ("app", "build"):
        (tmp_path / name).mkdir()
    (tmp_path / "app" / "requirements.txt").write_text("flask==1.0\nrequests==2.0\n")
    (tmp_path / "build" / "shop.jar").touch()
    return tmp_path


def project(directory: Path, *more: str) -> Project:
    (directory / "bluestone.toml").write_text("\n".join([DECLARED, *more]))
    return Project.open(directory / "bluestone.toml")


def exposed(ecosystem: Ecosystem, name: str, version: str, fixed: str, path: str, owner: str = "") -> Exposure:
    component = Component(ecosystem, name, version, f"pkg:{ecosystem}/{name}", path, "e", owner=owner)
    image = Digest("sha256:" + "1" * 64)
    return Exposure(FLAW, image, component, Verdict.AFFECTED_WITH_FIX, "", fixed=fixed)


def test_a_pin_is_told_with_its_line_and_the_newest_fix(directory: Path) -> None:
    path = "/srv/app/lib/flask-1.0.dist-info/METADATA"
    found = bumps(
        project(directory),
        [exposed("pypi", "flask", "1.0", "1.9", path), exposed("pypi", "flask", "1.0", "1.10", path)],
    )
    (bump,) = found
    assert (bump.file, bump.line, bump.new, bump.raises) == ("app/requirements.txt", 1, "1.10", False)
    assert (bump.path, bump.advisories) == ("/srv/app/requirements.txt", ("CVE-2026-1", "PYSEC-1"))


def test_a_jar_is_told_by_its_file_and_what_dpkg_owns_is_not(directory: Path) -> None:
    inner = "/srv/shop.jar!BOOT-INF/lib/struts2-core-2.3.31.jar"
    found = bumps(
        project(directory),
        [
            exposed("maven", "org.apache.struts:struts2-core", "2.3.31", "2.3.32", inner),
            exposed("pypi", "pip", "1.0", "2.0", "/usr/lib/python3/x", owner="python3-pip"),
        ],
    )
    assert [(bump.file, bump.line, bump.new) for bump in found] == [("build/shop.jar", 0, "2.3.32")]


def test_what_the_declaration_allows_is_raised_and_can_be_put_back(directory: Path) -> None:
    one = project(directory, "[patch]", 'raises = ["app/requirements.txt"]')
    found = bumps(
        one,
        [
            exposed("pypi", "flask", "1.0", "1.10", "/srv/app/x"),
            exposed("pypi", "requests", "2.0", "2.1", "/srv/app/x"),
        ],
    )
    file = directory / "app" / "requirements.txt"
    file.chmod(0o640)
    made = raise_pins(one, found)
    assert file.read_text() == "flask==1.10\nrequests==2.1\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert made.paths == {"/srv/app/requirements.txt"}
    (again,) = bumps(one, [exposed("pypi", "flask", "1.0", "1.10", "/srv/app/x")])
    assert again.raises, "after a crash: it was raised, and servers run the old one"
    assert raise_pins(one, [again]).paths == {"/srv/app/requirements.txt"}
    assert file.read_text() == "flask==1.10\nrequests==2.1\n"
    made.undo()
    assert file.read_text() == "flask==1.0\nrequests==2.0\n"


DATA = Path(__file__).parents[3] / "data" / "pins"
DIGEST = "sha512-Jsjnk4bw3YJqYzbdyBiNsPWHPfO++UGG749Cxs6peCu5Xg4nrena6OVxOYxrQTqww0Jmwt+Ref8rggumkTLz9Q=="


def test_a_package_lock_is_raised_if_its_registry_tells_the_digest(directory: Path) -> None:
    file = directory / "app" / "package-lock.json"
    file.write_text((DATA / "package-lock-2.json").read_text())
    one = project(directory, "[patch]", 'raises = ["app/package-lock.json"]')
    found = [exposed("npm", "minimist", "1.2.5", "1.2.6", "/srv/app/node_modules/minimist/package.json")]
    asked: list[str] = []

    def registry(address: str) -> bytes:
        asked.append(address)
        return f'{{"name":"minimist","version":"1.2.6","dist":{{"integrity":"{DIGEST}"}}}}'.encode()

    (left,) = bumps(one, found, lambda _: None)
    assert not left.raises
    assert left.kept == "its registry does not tell the digest of minimist 1.2.6"
    (bump,) = bumps(one, found, registry)
    assert (bump.raises, bump.rebuilds, bump.line) == (True, True, 17)
    raise_pins(one, [bump], lambda _: None)
    assert file.read_text() == (DATA / "package-lock-2.json").read_text(), "it was silent by then: nothing is written"
    raise_pins(one, [bump], registry)
    assert file.read_text() == (DATA / "package-lock-2-raised-by-npm.json").read_text()
    assert set(asked) == {"https://registry.example.org/minimist/1.2.6"}


def test_nobody_is_asked_about_what_may_not_be_raised(directory: Path) -> None:
    (directory / "app" / "package-lock.json").write_text((DATA / "package-lock-3.json").read_text())
    found = [exposed("npm", "minimist", "1.2.5", "1.2.6", "/srv/app/x")]
    (bump,) = bumps(project(directory), found, lambda address: pytest.fail(f"{address} was asked"))
    assert (bump.raises, bump.kept) == (False, "")


def test_a_pom_is_raised_and_its_jar_is_built_by_somebody_else(directory: Path) -> None:
    (directory / "app" / "pom.xml").write_text((DATA / "pom.xml").read_text())
    one = project(directory, "[patch]", 'raises = ["app/pom.xml"]')
    struts = "org.apache.struts:struts2-core"
    (bump,) = bumps(one, [exposed("maven", struts, "2.3.31", "2.3.32", "/srv/app/shop.war!struts2-core.jar")])
    assert (bump.file, bump.line, bump.raises, bump.rebuilds) == ("app/pom.xml", 8, True, True)
    raise_pins(one, [bump])
    assert "<struts.version>2.3.32<" in (directory / "app" / "pom.xml").read_text()
