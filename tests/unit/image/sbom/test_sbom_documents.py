"""Bills as documents: valid by the libraries of those who made the formats, and read again without loss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from bluestone.cli.sbom import shown
from bluestone.image.sbom import cyclonedx, spdx
from bluestone.image.sbom.licences import IDENTIFIERS
from bluestone.image.sbom.walk import contents
from bluestone.image.tree import manifest
from bluestone.model.bom import Bom, Component, LooseFile, Unidentified
from bluestone.model.ids import Digest
from sbom_tree import plant

IMAGE = Digest("sha256:" + "1f" * 32)


@pytest.fixture(scope="module")
def bom(tmp_path_factory: pytest.TempPathFactory) -> Bom:
    root = tmp_path_factory.mktemp("tree")
    plant(root)
    return contents(root, manifest(root))


def with_licences(*names: str) -> Bom:
    one = Component("deb", "x", "1", "pkg:deb/debian/x@1", "/x", "dpkg's database", licences=names)
    return Bom(IMAGE, "debian", "13", (one,), (), ())


def refused_by_cyclonedx(bom: Bom) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx.write(bom).decode())


def refused_by_spdx(bom: Bom) -> list[str]:
    document = JsonLikeDictParser().parse(json.loads(spdx.write(bom)))
    return [message.validation_message for message in validate_full_spdx_document(document)]


def test_both_are_valid(bom: Bom) -> None:
    assert refused_by_cyclonedx(bom) is None
    assert refused_by_spdx(bom) == []


def test_every_licence_that_is_called_spdx_is(tmp_path: Path) -> None:
    odd = ("GPL-2+ with OpenSSL exception", "a/b", "a_b", "a-b", "Ünïcode", "public-domain")
    bom = with_licences(*sorted(IDENTIFIERS), *odd)
    assert refused_by_cyclonedx(bom) is None
    assert refused_by_spdx(bom) == []
    known = json.loads(spdx.write(bom))["hasExtractedLicensingInfos"]
    assert {each["name"] for each in known} == set(odd)
    assert len({each["licenseId"] for each in known}) == len(odd)


def test_every_package_url_is_read_by_others(bom: Bom) -> None:
    for each in bom.components:
        assert PackageURL.from_string(each.purl).version == each.version or each.version == "(devel)"


def test_what_spdx_holds(bom: Bom) -> None:
    document = json.loads(spdx.write(bom))
    packages = {each["name"]: each for each in document["packages"]}
    assert len(document["packages"]) == len(bom.components) + len(bom.files) + len(bom.unidentified) + 2
    assert packages["app"]["sourceInfo"].startswith("built from app-source 1:1.0-2, with parts of golang-1.24 (= 1.24")
    assert packages["app"]["licenseDeclared"] == "GPL-3.0-or-later"
    assert packages["app"]["downloadLocation"] == "NOASSERTION"
    assert packages["app"]["filesAnalyzed"] is False
    assert packages["/usr/bin/sh"]["checksums"][0]["algorithm"] == "SHA256"
    assert sum(each["relationshipType"] == "CONTAINS" for each in document["relationships"]) == len(packages) - 1


def test_what_cyclonedx_holds(bom: Bom) -> None:
    document = json.loads(cyclonedx.write(bom))
    by_purl = {each.get("purl"): each for each in document["components"]}
    one = by_purl["pkg:maven/org.ow2.asm/asm@9.7"]
    assert (one["group"], one["name"]) == ("org.ow2.asm", "asm")
    assert one["evidence"]["occurrences"] == [{"location": "/srv/shop.war!WEB-INF/lib/asm.jar"}]
    files = {each["name"]: each for each in document["components"] if each["type"] == "file"}
    assert files["/usr/bin/sh"]["hashes"][0]["alg"] == "SHA-256"
    assert document["metadata"]["component"]["name"] == bom.image


def test_a_real_bill_is_read_again(bom: Bom) -> None:
    assert cyclonedx.read(cyclonedx.write(bom)) == bom


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
COMPONENTS = st.builds(
    Component,
    ecosystem=st.sampled_from(["deb", "pypi", "npm", "golang", "cargo", "maven"]),
    name=TEXT | st.text("a:/\0", min_size=1, max_size=6),
    **dict.fromkeys(("version", "purl", "path", "evidence", "owner", "source", "source_version"), TEXT),
    confidence=st.floats(0, 1),
    licences=st.lists(TEXT, max_size=3).map(tuple),
    built_using=st.lists(TEXT, max_size=3).map(tuple),
    declared=st.booleans(),
)
BOMS = st.builds(
    Bom,
    image=st.just(IMAGE),
    distribution=TEXT,
    release=TEXT,
    components=st.lists(COMPONENTS, max_size=3).map(tuple),
    files=st.lists(st.builds(LooseFile, TEXT, TEXT, st.integers(0, 2**62)), max_size=3).map(tuple),
    unidentified=st.lists(st.builds(Unidentified, TEXT, TEXT, TEXT), max_size=3).map(tuple),
)


@given(BOMS)
def test_any_bill_is_read_again(bom: Bom) -> None:
    assert cyclonedx.read(cyclonedx.write(bom)) == bom
    assert json.loads(spdx.write(bom))["name"] == bom.image


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"components":[]}', b"\xff"])
def test_what_is_no_bill_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no bill"):
        cyclonedx.read(data)


def test_a_bill_with_a_part_missing_is_refused(bom: Bom) -> None:
    document = json.loads(cyclonedx.write(bom))
    for each in document["components"]:
        each.pop("evidence", None)
    with pytest.raises(ValueError, match="no bill"):
        cyclonedx.read(json.dumps(document).encode())


def test_the_table_is_for_people_and_cannot_speak_to_their_terminal(bom: Bom) -> None:
    lines = shown(bom).splitlines()
    assert lines[0].split() == ["KIND", "NAME", "VERSION", "LICENCES", "FROM"]
    assert ["deb", "app", "1:1.0-2+b1", "GPL-3.0-or-later", "app-source", "1:1.0-2"] in [line.split() for line in lines]
    assert "not identified: /srv/shop.war!WEB-INF/lib/bad.jar: it is no zip archive, or cut short" in lines
    assert any(line.startswith("2 deb, 3 pypi, 3 npm, 3 maven, 4 golang, 2 cargo") for line in lines)
    evil = Component("npm", "\x1b[2Jx", "1\n2", "pkg:npm/x@1", "/x", "package.json")
    assert "\x1b" not in shown(Bom(IMAGE, "", "", (evil,), (), ()))


def test_a_package_of_many_licences_leaves_the_table_readable() -> None:
    licences = ("BSD-2-Clause", "GPL-3.0-or-later", "ISC", "MIT", "Zlib")
    one = Component("deb", "nginx", "1", "pkg:deb/debian/nginx@1", "/x", "dpkg", licences=licences)
    assert "  BSD-2-Clause, GPL-3.0-or-later, ...\n" in shown(Bom(IMAGE, "", "", (one,), (), ()))
    endless = Component("deb", "tool", "1", "pkg:deb/debian/tool@1", "/x", "dpkg", licences=("x" * 60, "MIT"))
    row = shown(Bom(IMAGE, "", "", (endless,), (), ())).splitlines()[1]
    assert "x" * 31 + ", ..." in row
    assert "x" * 32 not in row
