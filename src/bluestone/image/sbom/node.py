"""Node packages: package.json of what is there, package-lock.json of what was meant to be. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from bluestone.image.sbom.licences import named
from bluestone.image.sbom.place import Place
from bluestone.image.sbom.purl import purl
from bluestone.model.bom import Component

FILE = "package.json"
INSTALLED_LOCK = ".package-lock.json"
"""What npm leaves in node_modules on what it put there."""

LOCKS = ("package-lock.json", "npm-shrinkwrap.json", INSTALLED_LOCK)


class _Package(msgspec.Struct):
    name: str = ""
    version: str = ""
    license: Any = None
    licenses: Any = None


class _Locked(msgspec.Struct):
    version: str = ""
    name: str = ""
    link: bool = False
    dependencies: Any = None


class _Lock(msgspec.Struct):
    packages: dict[str, _Locked] = {}
    dependencies: dict[str, _Locked] = {}


def catalogue(place: Place, data: bytes) -> list[Component]:
    """The package of a package.json; none if it lacks name or version, as those inside a package may."""
    try:
        found = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=_Package)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return []
    if not found.name or not found.version:
        return []
    evidence = "package.json"
    return [_component(found.name, found.version, place, evidence, licences=_licences(found))]


def locked(place: Place, data: bytes) -> list[Component]:
    """The packages that a lock of npm names (lockfileVersion 1, 2, 3), as declared."""
    try:
        lock = msgspec.json.decode(data, type=_Lock)
        pairs = {*_of_packages(lock.packages), *_of_dependencies(lock.dependencies)}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return []
    return [_component(name, version, place, "named by a lock file", declared=True) for name, version in sorted(pairs)]


def _of_packages(packages: dict[str, _Locked]) -> set[tuple[str, str]]:
    names = {path: entry.name or path.rpartition("node_modules/")[2] for path, entry in packages.items() if path}
    return {(names[path], e.version) for path, e in packages.items() if path and names[path] and e.version}


def _of_dependencies(dependencies: dict[str, _Locked], depth: int = 0) -> set[tuple[str, str]]:
    found = {(name, entry.version) for name, entry in dependencies.items() if name and entry.version}
    for entry in dependencies.values():
        if entry.dependencies and depth < 32:
            inner = msgspec.convert(entry.dependencies, dict[str, _Locked])
            found |= _of_dependencies(inner, depth + 1)
    return found


def _component(
    name: str,
    version: str,
    place: Place,
    evidence: str,
    *,
    licences: tuple[str, ...] = (),
    declared: bool = False,
) -> Component:
    scope, slash, rest = name.partition("/")
    return Component(
        ecosystem="npm",
        name=name,
        version=version,
        purl=purl("npm", scope if slash else "", rest if slash else name, version),
        path=place.path,
        evidence=evidence,
        confidence=0.5 if declared else 1.0,
        owner=place.owner,
        licences=licences,
        declared=declared,
    )


def _licences(package: _Package) -> tuple[str, ...]:
    """`license` is an SPDX expression; of old also `{"type": NAME}`, and a list of those."""
    values = package.license if isinstance(package.license, list) else [package.license]
    values += package.licenses if isinstance(package.licenses, list) else []
    words = [value.get("type") if isinstance(value, dict) else value for value in values]
    return tuple(dict.fromkeys(name for word in words if isinstance(word, str) for name in named(word)))
