"""The statement: its form is that of in-toto and SLSA, and it tells nothing of this machine."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec.structs import replace

from bluestone.image.lock.file import digest
from bluestone.image.provenance import Build, locked, parameters, read, statement
from statement_examples import BILLS, BUILD, IMAGE, LOCK, NOW, PACKAGE, RECIPE

DESCRIPTOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "uri": {"type": "string"},
        "digest": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
        "annotations": {"type": "object"},
    },
    "required": ["digest"],
    "additionalProperties": False,
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {"type": "array", "minItems": 1, "items": DESCRIPTOR | {"required": ["name", "digest"]}},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "predicate": {
            "type": "object",
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "properties": {
                        "buildType": {"type": "string", "format": "uri"},
                        "externalParameters": {"type": "object"},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": {"type": "array", "items": DESCRIPTOR},
                    },
                    "required": ["buildType", "externalParameters"],
                    "additionalProperties": False,
                },
                "runDetails": {
                    "type": "object",
                    "properties": {
                        "builder": {
                            "type": "object",
                            "properties": {
                                "id": {"type": "string", "format": "uri"},
                                "version": {"type": "object", "additionalProperties": {"type": "string"}},
                                "builderDependencies": {"type": "array", "items": DESCRIPTOR},
                            },
                            "required": ["id"],
                            "additionalProperties": False,
                        },
                        "metadata": {
                            "type": "object",
                            "properties": {
                                "invocationId": {"type": "string"},
                                "startedOn": {"type": "string", "pattern": "Z$"},
                                "finishedOn": {"type": "string", "pattern": "Z$"},
                            },
                            "additionalProperties": False,
                        },
                        "byproducts": {"type": "array", "items": DESCRIPTOR},
                    },
                    "required": ["builder"],
                    "additionalProperties": False,
                },
            },
            "required": ["buildDefinition", "runDetails"],
            "additionalProperties": False,
        },
    },
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
}
"""in-toto's Statement v1 and SLSA's provenance v1, by the names and types of their specifications' fields."""


def made() -> bytes:
    return statement(IMAGE, BUILD, LOCK, BILLS)


def test_a_statement_has_the_form_of_the_specifications() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(made()))
    names = [each["name"] for each in json.loads(made())["subject"]]
    assert names == ["image", "sbom.cdx.json"]
    assert made() == made()


def test_every_input_is_a_dependency_with_its_digest() -> None:
    dependencies = json.loads(made())["predicate"]["buildDefinition"]["resolvedDependencies"]
    found = {each.get("uri") or each["name"]: each["digest"]["sha256"] for each in dependencies}
    assert found == {
        "bluestone.lock": digest(LOCK),
        "release main trixie": "02" * 32,
        'image.files."/srv/site"': "03" * 32,
        "pkg:deb/debian/nginx@1:1.26-3%2Bb1?arch=amd64": "01" * 32,
        "pkg:deb/debian/ruby@1:1.26-3%2Bb1?arch=amd64": "04" * 32,
    }
    assert [each["annotations"]["tool"] for each in dependencies if "tool" in each.get("annotations", {})] == ["puppet"]


def test_nothing_of_this_machine_and_no_content_is_told() -> None:
    text = made().decode()
    for secret in ("/home/me", "mirror.example.org", "of the owner"):
        assert secret not in text
    told = json.loads(text)["predicate"]["buildDefinition"]["externalParameters"]
    assert told["files"][0] == {"target": "/srv/site", "owner": "www-data"}
    assert told["files"][1]["mode"] == "0640"
    assert len(told["files"][1]["sha256"]) == 64
    assert told["waivers"] == [{"finding": "setuid", "path": "/opt/x", "reason": "why"}]


def test_a_statement_is_read_back() -> None:
    said = read(made())
    assert (said.image, said.files, said.lock, said.key) == (IMAGE, BILLS, digest(LOCK), "k")
    assert (said.packages, said.inputs) == locked(LOCK)
    assert said.parameters == parameters(RECIPE)
    assert (said.engine, said.finished) == ("mmdebstrap 1.3", NOW)
    again = msgspec.json.decode(msgspec.json.encode(BUILD), type=Build)
    assert statement(IMAGE, again, LOCK, BILLS) == made()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"),
        ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"),
        ("urn:bluestone:build:image:v1", "urn:example:other"),
        ("urn:bluestone:builder:own-machine:v1", "urn:example:other"),
        ('"name":"image"', '"name":"picture"'),
        ('"buildKey"', '"other"'),
        ("{", ""),
    ],
)
def test_other_statements_are_refused(old: str, new: str) -> None:
    text = made().decode()
    assert old in text
    with pytest.raises(ValueError, match=r"it is "):
        read(text.replace(old, new, 1).encode())


def test_any_change_of_the_lock_is_seen() -> None:
    changed = replace(LOCK, packages=(replace(PACKAGE, sha256="09" * 32),))
    assert locked(changed)[0] != locked(LOCK)[0]
    assert locked(replace(LOCK, inputs={}))[1] != locked(LOCK)[1]
    assert locked(replace(LOCK, releases=()))[1] != locked(LOCK)[1]
