"""Bills as SPDX 2.3 JSON (ISO/IEC 5962 has 2.2.1). The same bill gives the same bytes. Pure.

Files that no package owns are packages whose purpose is `FILE`: SPDX demands a SHA-1 of what it calls files.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import msgspec

from bluestone import __version__
from bluestone.image.normalise import EPOCH
from bluestone.image.sbom.licences import IDENTIFIERS
from bluestone.model.bom import Bom, Component, LooseFile, Unidentified

NONE = "NOASSERTION"
_UNFIT = re.compile(r"[^A-Za-z0-9.-]+")


class _Reference(msgspec.Struct, rename="camel"):
    reference_category: str
    reference_type: str
    reference_locator: str


class _Checksum(msgspec.Struct, rename="camel"):
    algorithm: str
    checksum_value: str


class _Package(msgspec.Struct, omit_defaults=True, rename="camel"):
    spdx_id: str = msgspec.field(name="SPDXID")
    name: str
    download_location: str = msgspec.field(default_factory=lambda: NONE)  # not a default: it must be written
    files_analyzed: bool = msgspec.field(default_factory=lambda: False)
    version_info: str = ""
    package_file_name: str = ""
    source_info: str = ""
    license_declared: str = ""
    license_concluded: str = ""
    copyright_text: str = ""
    primary_package_purpose: str = ""
    comment: str = ""
    checksums: list[_Checksum] = []
    external_refs: list[_Reference] = []


class _Relationship(msgspec.Struct, rename="camel"):
    spdx_element_id: str
    relationship_type: str
    related_spdx_element: str


class _Licence(msgspec.Struct, rename="camel"):
    license_id: str
    extracted_text: str
    name: str


class _Creation(msgspec.Struct):
    created: str
    creators: list[str]


class _Document(msgspec.Struct, rename="camel"):
    spdx_version: str
    data_license: str
    spdx_id: str = msgspec.field(name="SPDXID")
    name: str
    document_namespace: str
    creation_info: _Creation
    has_extracted_licensing_infos: list[_Licence]
    packages: list[_Package]
    relationships: list[_Relationship]


class _Licences:
    """Licences as SPDX has them; those that it does not know get identifiers of the document's own."""

    def __init__(self) -> None:
        self.own: dict[str, str] = {}

    def expression(self, names: tuple[str, ...]) -> str:
        """All of these licences."""
        return " AND ".join(dict.fromkeys(map(self._identifier, names))) or NONE

    def _identifier(self, name: str) -> str:
        if name in IDENTIFIERS:
            return name
        if name not in self.own:
            # Two names may differ in nothing but what an identifier cannot have.
            unfit = _UNFIT.search(name) or "LicenseRef-" + name in self.own.values()
            suffix = f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}" if unfit else ""
            self.own[name] = f"LicenseRef-{_UNFIT.sub('-', name)}{suffix}"
        return self.own[name]


def write(bom: Bom) -> bytes:
    """A bill as a document, ending with a newline."""
    licences = _Licences()
    image = _Package("SPDXRef-image", bom.image, primary_package_purpose="CONTAINER")
    parts = [
        _Package(
            "SPDXRef-system",
            bom.distribution,
            version_info=bom.release,
            primary_package_purpose="OPERATING_SYSTEM",
        ),
        *(_component(index, each, licences) for index, each in enumerate(bom.components)),
        *(_loose(index, each) for index, each in enumerate(bom.files)),
        *(_unidentified(index, each) for index, each in enumerate(bom.unidentified)),
    ]
    document = _Document(
        spdx_version="SPDX-2.3",
        data_license="CC0-1.0",
        spdx_id="SPDXRef-DOCUMENT",
        name=bom.image,
        document_namespace=f"urn:bluestone:{bom.image}",
        creation_info=_Creation(
            # That of everything in an image: a time of day would make every bill another.
            created=f"{datetime.fromtimestamp(EPOCH, UTC):%Y-%m-%dT%H:%M:%SZ}",
            creators=[f"Tool: bluestone-{__version__}"],
        ),
        has_extracted_licensing_infos=[_Licence(key, name, name) for name, key in sorted(licences.own.items())],
        packages=[image, *parts],
        relationships=[
            _Relationship("SPDXRef-DOCUMENT", "DESCRIBES", image.spdx_id),
            *(_Relationship(image.spdx_id, "CONTAINS", part.spdx_id) for part in parts),
        ],
    )
    return msgspec.json.encode(document) + b"\n"


def _component(index: int, each: Component, licences: _Licences) -> _Package:
    remarks = [f"{each.path}: {each.evidence}"]
    remarks += [f"of the package {each.owner}"] if each.owner else []
    remarks += ["it need not be there"] if each.declared else []
    source = f"built from {each.source} {each.source_version}" if each.source else ""
    using = f", with parts of {', '.join(each.built_using)}" if each.built_using else ""
    return _Package(
        f"SPDXRef-component-{index}",
        each.name,
        version_info=each.version,
        source_info=source + using,
        license_declared=licences.expression(each.licences),
        license_concluded=NONE,
        copyright_text=NONE,
        primary_package_purpose="LIBRARY",
        comment="; ".join(remarks),
        external_refs=[_Reference("PACKAGE-MANAGER", "purl", each.purl)],
    )


def _loose(index: int, each: LooseFile) -> _Package:
    return _Package(
        f"SPDXRef-file-{index}",
        each.path,
        package_file_name=each.path,
        primary_package_purpose="FILE",
        comment=f"of no package; {each.size} bytes",
        checksums=[_Checksum("SHA256", each.sha256)],
    )


def _unidentified(index: int, each: Unidentified) -> _Package:
    return _Package(
        f"SPDXRef-unidentified-{index}",
        each.path,
        package_file_name=each.path,
        primary_package_purpose="ARCHIVE",
        comment=f"not identified: {each.reason}",
    )
