"""Bills of a real image: against syft and dpkg, without root, and as a person asks for them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.images.sbom import by_bluestone, by_syft, missing, syft
from bluestone.image.sbom import bills, cyclonedx
from bluestone.image.store import ImageStore
from bluestone.image.verify import verify
from bluestone.model.bom import Bom
from bluestone.model.image import Image
from bluestone.model.recipe import Base, OverlayFile, Recipe
from jar_corpus import CASES
from locked import build_locked
from machine import Machine
from sbom_tree import put

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def image(shared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The packages that other tests build as well, and below /srv and /opt what no package brings.

    It is removed at the end: one that is kept would bring bills that an older bluestone wrote.
    """
    extra = tmp_path_factory.mktemp("extra")
    for number, case in enumerate(CASES):
        put(extra, f"java/{number}{case.path}", case.data())
    put(extra, "node_modules/@scope/a/package.json", '{"name":"@scope/a","version":"1.2.3","license":"MIT"}')
    put(extra, "venv/A_b.C-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: A_b.C\nVersion: 1\n")
    files = (OverlayFile("/srv", source=extra), OverlayFile("/opt/syft", source=Path(syft()), mode=0o755))
    recipe = Recipe(Base("debian", "trixie"), packages=("nginx-light", "python3-minimal"), files=files)
    store = ImageStore(shared_home / "images")
    image = build_locked(recipe, store)
    yield image
    store.remove(image.digest)


@pytest.fixture(scope="module")
def bom(image: Image) -> Bom:
    return cyclonedx.read((image.root.parent / bills.CYCLONEDX).read_bytes())


def test_debian_packages_are_those_that_dpkg_has(image: Image, bom: Bom) -> None:
    debian = [each for each in bom.components if each.ecosystem == "deb"]
    assert [(each.name, each.version, each.architecture) for each in debian] == [
        (each.name, each.version, each.architecture) for each in image.packages
    ]
    sources = {each.name: (each.source, each.source_version) for each in debian}
    assert sources["nginx-light"][0] == "nginx"
    assert sources["libsystemd0"][0] == "systemd"
    assert sum(bool(each.licences) for each in debian) > len(debian) * 0.7
    assert (bom.image, bom.distribution, bom.release) == (image.digest, "debian", "13")


def test_nothing_is_missing_that_syft_finds(image: Image, bom: Bom) -> None:
    theirs = by_syft(image.root, "./srv/java/**")  # They are made so that it is hard to tell.
    assert {kind for kind, _, _ in theirs} == {"deb", "pypi", "npm", "golang"}
    assert sum(kind == "golang" for kind, _, _ in theirs) > 100
    assert missing(bom, theirs) == set()
    for kind in ("deb", "golang", "npm", "pypi"):
        assert {each for each in by_bluestone(bom) if each[0] == kind} == {each for each in theirs if each[0] == kind}


def test_archives_in_an_image_are_told_as_elsewhere(bom: Bom) -> None:
    paths = {f"/srv/java/{number}{case.path}": case for number, case in enumerate(CASES)}
    found: dict[str, set[tuple[str, str, str]]] = {path: set() for path in paths}
    for each in bom.components:
        outer, mark, rest = each.path.partition("!")
        if outer in paths and each.ecosystem == "maven":
            found[outer].add((each.name, each.version, mark + rest))
    assert found == {path: set(case.truth) for path, case in paths.items()}


def test_files_of_no_package_are_those_that_were_laid_in(image: Image, bom: Bom) -> None:
    paths = {each.path: each for each in bom.files}
    assert paths["/opt/syft"].size == Path(syft()).stat().st_size
    assert not [path for path in paths if path.startswith("/usr/bin/")]
    lists = (image.root / "var/lib/dpkg/info").glob("*.list")
    owned = {line for file in lists for line in file.read_text().splitlines()}
    assert not set(paths) & owned


def test_bills_are_no_part_of_the_image_and_are_written_anew(image: Image) -> None:
    directory = image.root.parent
    assert verify(image) == []
    before = {name: (directory / name).read_bytes() for name in (bills.CYCLONEDX, bills.SPDX)}
    assert sys.prefix.encode() not in b"".join(before.values())
    for name in before:
        (directory / name).unlink()
    assert {name: bills.bill(image, name) for name in before} == before


def test_a_person_asks(machine: Machine) -> None:
    machine.run("build")
    table = machine.run("sbom")
    assert "nginx-light" in table
    assert "files that no package owns" in table
    bom = json.loads(machine.run("sbom", "--json"))
    image = bom["image"].removeprefix("sha256:")[:12]
    assert json.loads(machine.run("sbom", image, "--format", "cyclonedx"))["specVersion"] == "1.6"
    assert json.loads(machine.run("sbom", image, "--format", "spdx"))["spdxVersion"] == "SPDX-2.3"
    assert "no digest of an image" in machine.run("sbom", "web", expect=1)
    kept = machine.home / "images" / bom["image"].removeprefix("sha256:") / bills.CYCLONEDX
    right = kept.read_bytes()
    kept.write_text("damaged")
    assert "is damaged" in machine.run("sbom", expect=1)
    kept.unlink()
    assert machine.run("sbom") == table
    assert kept.read_bytes() == right
