"""Bills as CycloneDX 1.6 JSON (ECMA-424), written and read. The same bill gives the same bytes. Pure.

What CycloneDX has no field for is in properties whose names begin with `bluestone:`; so a bill that was written is read
again without loss.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from bluestone import __version__
from bluestone.image.sbom.licences import IDENTIFIERS
from bluestone.model.bom import Bom, Component, LooseFile, Unidentified
from bluestone.model.ids import Digest

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
NAMESPACE = uuid.UUID("0f3c4fb6-6a7b-4a52-9d53-3f4b6d1f0b1e")
"""Bills' serial numbers are names in this namespace (RFC 9562, version 5): an image's bill has the image's."""

OWN = "bluestone:"
TEXTS = ("owner", "architecture", "source", "source_version")
"""Fields of a component that are properties, unless they are empty."""

JOINTS = {"maven": ":", "npm": "/"}
"""What stands between group and name, in ecosystems whose names have both."""


class _Property(msgspec.Struct):
    name: str
    value: str


class _Hash(msgspec.Struct):
    alg: str
    content: str


class _Named(msgspec.Struct, omit_defaults=True):
    id: str = ""
    name: str = ""


class _Licence(msgspec.Struct):
    license: _Named


class _Method(msgspec.Struct):
    technique: str
    confidence: float
    value: str


class _Identity(msgspec.Struct):
    field: str
    confidence: float
    methods: list[_Method]


class _Occurrence(msgspec.Struct):
    location: str


class _Evidence(msgspec.Struct):
    identity: list[_Identity]
    occurrences: list[_Occurrence]


class _Component(msgspec.Struct, omit_defaults=True, rename={"ref": "bom-ref"}):
    type: str
    name: str
    ref: str = ""
    group: str = ""
    version: str = ""
    hashes: list[_Hash] = []
    licenses: list[_Licence] = []
    purl: str = ""
    evidence: _Evidence | None = None
    properties: list[_Property] = []


class _Tools(msgspec.Struct):
    components: list[_Component]


class _Metadata(msgspec.Struct):
    tools: _Tools
    component: _Component


class _Document(msgspec.Struct, rename="camel"):
    schema: str = msgspec.field(name="$schema")
    bom_format: str
    spec_version: str
    serial_number: str
    version: int
    metadata: _Metadata
    components: list[_Component]


def write(bom: Bom) -> bytes:
    """A bill as a document, ending with a newline."""
    system = _Component("operating-system", bom.distribution, ref="system", version=bom.release)
    document = _Document(
        schema=SCHEMA,
        bom_format="CycloneDX",
        spec_version="1.6",
        serial_number=f"urn:uuid:{uuid.uuid5(NAMESPACE, bom.image)}",
        version=1,
        metadata=_Metadata(
            tools=_Tools([_Component("application", "bluestone", version=__version__)]),
            component=_Component("container", bom.image, ref="image"),
        ),
        components=[
            system,
            *(_component(index, each) for index, each in enumerate(bom.components)),
            *(_loose(index, each) for index, each in enumerate(bom.files)),
            *(_unidentified(index, each) for index, each in enumerate(bom.unidentified)),
        ],
    )
    return msgspec.json.encode(document) + b"\n"


def read(data: bytes) -> Bom:
    """The bill of a document that `write` made. Raises `ValueError` for any other."""
    try:
        document = msgspec.json.decode(data, type=_Document)
        kinds: dict[str, list[_Component]] = {}
        for each in document.components:
            kinds.setdefault(each.ref.partition("-")[0], []).append(each)
        (system,) = kinds["system"]
        return Bom(
            image=Digest(document.metadata.component.name),
            distribution=system.name,
            release=system.version,
            components=tuple(_read_component(each) for each in kinds.get("component", [])),
            files=tuple(_read_loose(each) for each in kinds.get("file", [])),
            unidentified=tuple(_read_unidentified(each) for each in kinds.get("unidentified", [])),
        )
    except (msgspec.MsgspecError, ValueError, KeyError, IndexError) as error:
        raise ValueError(f"it is no bill of bluestone's: {error}") from error


def _component(index: int, each: Component) -> _Component:
    group, name = _split(each)
    properties = [_Property(f"{OWN}ecosystem", each.ecosystem)]
    properties += [_Property(OWN + key, value) for key in TEXTS if (value := getattr(each, key))]
    properties += [_Property(f"{OWN}built_using", value) for value in each.built_using]
    if each.declared:
        properties.append(_Property(f"{OWN}declared", "true"))
    method = _Method(_technique(each), each.confidence, each.evidence)
    return _Component(
        type="library",
        ref=f"component-{index}",
        group=group,
        name=name,
        version=each.version,
        licenses=[_Licence(_Named(id=text) if text in IDENTIFIERS else _Named(name=text)) for text in each.licences],
        purl=each.purl,
        evidence=_Evidence([_Identity("purl", each.confidence, [method])], [_Occurrence(each.path)]),
        properties=properties,
    )


def _split(each: Component) -> tuple[str, str]:
    """The group of a component, empty if it has none, and its name in that."""
    joint = JOINTS.get(each.ecosystem)
    group, _, name = each.name.partition(joint) if joint else ("", "", each.name)
    return (group, name) if group and name else ("", each.name)


def _technique(each: Component) -> str:
    if each.ecosystem in ("golang", "cargo") and not each.declared:
        return "binary-analysis"
    return "filename" if each.evidence.startswith(("name of the file", "place in")) else "manifest-analysis"


def _loose(index: int, each: LooseFile) -> _Component:
    size = _Property(f"{OWN}size", str(each.size))
    return _Component("file", each.path, f"file-{index}", hashes=[_Hash("SHA-256", each.sha256)], properties=[size])


def _unidentified(index: int, each: Unidentified) -> _Component:
    properties = [_Property(f"{OWN}unidentified", each.reason)]
    if each.owner:
        properties.append(_Property(f"{OWN}owner", each.owner))
    return _Component("file", each.path, f"unidentified-{index}", properties=properties)


def _read_component(each: _Component) -> Component:
    values = {item.name.removeprefix(OWN): item.value for item in each.properties}
    evidence = each.evidence
    if evidence is None:
        raise KeyError("evidence")
    (method,) = evidence.identity[0].methods
    fields: dict[str, Any] = {key: values[key] for key in TEXTS if key in values}
    return msgspec.convert(
        fields
        | {
            "ecosystem": values["ecosystem"],
            "name": each.group + JOINTS[values["ecosystem"]] + each.name if each.group else each.name,
            "version": each.version,
            "purl": each.purl,
            "path": evidence.occurrences[0].location,
            "evidence": method.value,
            "confidence": method.confidence,
            "licences": [item.license.id or item.license.name for item in each.licenses],
            "declared": "declared" in values,
            "built_using": [item.value for item in each.properties if item.name == f"{OWN}built_using"],
        },
        Component,
    )


def _read_loose(each: _Component) -> LooseFile:
    return LooseFile(each.name, each.hashes[0].content, int(each.properties[0].value))


def _read_unidentified(each: _Component) -> Unidentified:
    values = {item.name.removeprefix(OWN): item.value for item in each.properties}
    return Unidentified(each.name, values["unidentified"], values.get("owner", ""))
