"""Python distributions: what pip and Debian install beside the code. Pure."""

from __future__ import annotations

import re

from bluestone.image.sbom.licences import named
from bluestone.image.sbom.place import Place
from bluestone.image.sbom.purl import purl
from bluestone.model.bom import Component

FILES = ("METADATA", "PKG-INFO")
"""Names of the file that describes a distribution (core metadata specification)."""

_CLASSIFIER = "License :: "
_SEPARATORS = re.compile(r"[-_.]+")


def describes(path: str) -> bool:
    """Whether a file describes an *installed* distribution: a source tree has a PKG-INFO as well."""
    directory, _, name = path.replace("!", "/").rpartition("/")
    if name == "METADATA":
        return directory.endswith(".dist-info")
    if name == "PKG-INFO":
        return directory.endswith((".egg-info", "/EGG-INFO"))
    return name.endswith(".egg-info")


def catalogue(place: Place, data: bytes) -> list[Component]:
    """The distribution that a METADATA or PKG-INFO describes; none if it lacks name or version."""
    fields: dict[str, list[str]] = {}
    for line in data.decode(errors="replace").splitlines():
        if not line.strip():
            break  # The description follows.
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            fields.setdefault(name.lower(), []).append(value.strip())
    name, version = _first(fields, "name"), _first(fields, "version")
    if not name or not version:
        return []
    return [
        Component(
            ecosystem="pypi",
            name=name,
            version=version,
            purl=purl("pypi", "", _SEPARATORS.sub("-", name).lower(), version),
            path=place.path,
            evidence="metadata of an installed distribution",
            owner=place.owner,
            licences=_licences(fields),
        )
    ]


def _licences(fields: dict[str, list[str]]) -> tuple[str, ...]:
    for key in ("license-expression", "license"):
        text = _first(fields, key)
        if text and text.upper() != "UNKNOWN" and (names := named(text)):
            return names
    classifiers = [text for text in fields.get("classifier", []) if text.startswith(_CLASSIFIER)]
    words = [text.rpartition(" :: ")[2] for text in classifiers if text != "License :: OSI Approved"]
    return tuple(sorted({name for word in words for name in named(word)}))


def _first(fields: dict[str, list[str]], name: str) -> str:
    return next(iter(fields.get(name, [])), "")
