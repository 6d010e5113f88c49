"""npm's package-lock.json (docs.npmjs.com, "package-lock.json", lockfileVersion 2 and 3). Pure.

An entry names the digest of a file (`integrity`, a subresource integrity string), which its registry alone can tell: it
is asked by whoever calls, at the address that `question` gives, with the answer that `published` reads. Without an
answer nothing is raised: an entry without its digest would let anything in.

Raised is what stays the same tree: every package that needs this one must admit the new version, and the new version
must need what the old one needed. All else is a resolution anew, which is npm's work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]  # the decoder's own, and documented nowhere
from typing import Any

import msgspec
from msgspec import Struct

from bluestone.patch.pins.kept import LeftAlone
from bluestone.patch.pins.ranges import admits

FILE = "package-lock.json"
MODULES = "node_modules/"
NEEDS = ("dependencies", "optionalDependencies", "peerDependencies")
PLAIN = re.compile(r"(?:@[A-Za-z0-9._~-]+/)?[A-Za-z0-9._~+-]+")
INTEGRITY = re.compile(r"sha(?:512|384)-[A-Za-z0-9+/=]{64,128}")

Path = tuple[str, ...]


class Published(Struct, frozen=True):
    """What a registry says of one version: its file's digest, and what it needs."""

    integrity: str
    needs: Mapping[str, Mapping[str, str]]


class _Dist(Struct):
    integrity: str = ""


class _Version(Struct, rename="camel"):
    name: str
    version: str
    dist: _Dist
    dependencies: dict[str, str] = {}
    optional_dependencies: dict[str, str] = {}
    peer_dependencies: dict[str, str] = {}


def find(text: str, name: str, version: str) -> int:
    """The line of the version of a package, from 1; 0 if it is not there in that version."""
    match = re.search(rf'"{MODULES}(?:[^"]*/)?{re.escape(name)}": \{{\s*"version": "{re.escape(version)}"', text)
    match = match or re.search(rf'"{re.escape(name)}": \{{\s*"version": "{re.escape(version)}"', text)
    return text.count("\n", 0, match.end()) + 1 if match else 0


def question(text: str, name: str, old: str, new: str) -> str:
    """The address at which the registry tells of the new version, by where the old came from. Raises `LeftAlone`."""
    packages = _packages(text)
    origins = {packages[place].get("resolved", "") for place in _at(packages, name, old)}
    if len(origins) != 1 or not (origin := str(origins.pop())):
        raise LeftAlone("it does not say, or not once, which registry it came from")
    prefix, found, file = origin.partition(f"/{name}/-/")
    if not found or not prefix.startswith("https://") or f"-{old}.tgz" not in file:
        raise LeftAlone("it did not come from a registry by https")
    if not (PLAIN.fullmatch(name) and PLAIN.fullmatch(new)):
        raise LeftAlone("its name or version is not one that npm gives out")
    return f"{prefix}/{name.replace('/', '%2F')}/{new}"


def published(content: bytes, name: str, version: str) -> Published:
    """What a registry answered. Raises `LeftAlone`."""
    try:
        said = msgspec.json.decode(content, type=_Version)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LeftAlone("its registry's answer cannot be read") from error
    if (said.name, said.version) != (name, version) or not INTEGRITY.fullmatch(said.dist.integrity):
        raise LeftAlone("its registry's answer is about something else, or has no digest")
    optional = said.optional_dependencies
    # npm's registry repeats optional dependencies among the others; a lock does not.
    plain = {n: r for n, r in said.dependencies.items() if n not in optional}
    return Published(said.dist.integrity, dict(zip(NEEDS, (plain, optional, said.peer_dependencies), strict=True)))


def raised(text: str, name: str, old: str, new: str, said: Published) -> str:
    """The text with the new version, its address and its digest, wherever the old one stands. Raises `LeftAlone`."""
    packages = _packages(text)
    places = _at(packages, name, old)
    for place in places:
        for who, needs in _needing(packages, place, name):
            if not admits(needs, new):
                raise LeftAlone(f"{who or 'the project itself'} needs {name} {needs}")
        for kind in NEEDS:
            if packages[place].get(kind, {}) != said.needs[kind]:
                raise LeftAlone(f"{name} {new} needs other {kind} than {old}: the tree must be resolved anew")
    spans = dict(_strings(text))
    edits: dict[tuple[int, int], str] = {}
    for place in places:
        for path in (("packages", place), _old_path(place)):
            if (*path, "version") not in spans:
                continue
            edits[spans[*path, "version"]] = new
            if (*path, "resolved") in spans:
                begin, end = spans[*path, "resolved"]
                edits[begin, end] = text[begin:end].replace(f"-{old}.tgz", f"-{new}.tgz")
            if (*path, "integrity") in spans:
                edits[spans[*path, "integrity"]] = said.integrity
    for (begin, end), value in sorted(edits.items(), reverse=True):
        text = text[:begin] + value + text[end:]
    return text


def _packages(text: str) -> dict[str, dict[str, Any]]:
    try:
        lock = json.loads(text)
        packages = {str(place): dict(entry) for place, entry in lock["packages"].items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise LeftAlone("it cannot be read") from error
    except KeyError as error:
        raise LeftAlone("it is of lockfileVersion 1: npm writes a newer one at the next `npm install`") from error
    return packages


def _at(packages: Mapping[str, Mapping[str, Any]], name: str, version: str) -> list[str]:
    """Where a package is installed in that version. Raises `LeftAlone` for one that is not, or is another's work."""
    found = [
        place
        for place, entry in packages.items()
        if place.rpartition(MODULES)[2] == name and MODULES in place and entry.get("version") == version
    ]
    if not found:
        raise LeftAlone("it is not there by its own name")
    if any(packages[place].get("inBundle") or packages[place].get("link") for place in found):
        raise LeftAlone("it comes bundled within another package")
    return found


def _needing(packages: Mapping[str, Mapping[str, Any]], place: str, name: str) -> Iterator[tuple[str, str]]:
    """Who gets the package of that place, as node finds it, and the range each needs."""
    for who, entry in packages.items():
        kinds = (*NEEDS, "devDependencies") if MODULES not in who else NEEDS
        for kind in kinds:
            needs = entry.get(kind, {}).get(name)
            if needs is not None and _resolved(packages, who, name) == place:
                yield who, needs


def _resolved(packages: Mapping[str, Mapping[str, Any]], who: str, name: str) -> str:
    """Where node finds a package that another one asks for: below it, or below whatever that is below of."""
    while True:
        place = f"{who}/{MODULES}{name}" if who else f"{MODULES}{name}"
        if place in packages or not who:
            return place
        who = who.rpartition(f"/{MODULES}")[0] if f"/{MODULES}" in who else ""


def _old_path(place: str) -> Path:
    """Where lockfileVersion 2 has the same once more, for older versions of npm."""
    names = [part.strip("/") for part in place.split(MODULES) if part.strip("/")]
    return tuple(word for name in names for word in ("dependencies", name))


def _strings(text: str) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Every string value of sound JSON: the keys that lead to it, and its span without the quotes."""
    path: list[str | int] = []
    at, key = 0, True
    token = re.compile(r'[\s,:]*(["{}\[\]]|[^\s,:"{}\[\]]+)')
    inside: list[str] = []
    while match := token.match(text, at):
        at, what = match.end(), match[1]
        if what == '"':
            value, end = scanstring(text, at)
            if inside and inside[-1] == "{" and key:
                path[-1], key = value, False
            else:
                yield tuple(str(each) for each in path), (at, end - 1)
                key = True
            at = end
        elif what in "{[":
            inside.append(what)
            path.append("")
            key = True
        elif what in "}]":
            inside.pop()
            path.pop()
            key = True
        else:
            key = True
