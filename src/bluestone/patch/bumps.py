"""Pinned versions in files that an application brings along: where one stands, and the text with another. Pure.

Read are pip's requirements files (`name==version`), npm's package-lock.json, and Maven's pom.xml. Only the first can be
raised here: a package-lock names digests of files that nobody but its registry can tell, and a jar is built elsewhere.
"""

from __future__ import annotations

import re

from msgspec import Struct

from bluestone.model.bom import Ecosystem

REQUIREMENTS = re.compile(r"[^/]*requirements[^/]*\.txt|constraints[^/]*\.txt")
LOCK = "package-lock.json"
POM = "pom.xml"


class Bump(Struct, frozen=True):
    """A version that ends exposures of `advisories` in place of one that stands in a file of the declaration.

    `line` counts from 1; 0 where only the file is known (a jar). `how` is what to do about it; `raises` whether the
    declaration allows `patch` to write it. `path` is the file on the server.
    """

    ecosystem: Ecosystem
    name: str
    old: str
    new: str
    file: str
    line: int
    path: str
    advisories: tuple[str, ...]
    how: str
    raises: bool = False


def find_pin(file: str, text: str, ecosystem: Ecosystem, name: str, version: str) -> int:
    """The line on which a file of that name pins a package to a version; 0 if it does not."""
    if ecosystem == "pypi" and REQUIREMENTS.fullmatch(file):
        lines = (number for number, line in enumerate(text.splitlines(), 1) if _pins(line, name, version))
        return next(lines, 0)
    if ecosystem == "npm" and file == LOCK:
        match = re.search(
            rf'"node_modules/(?:[^"]*/)?{re.escape(name)}": \{{\s*"version": "{re.escape(version)}"', text
        )
        match = match or re.search(rf'"{re.escape(name)}": \{{\s*"version": "{re.escape(version)}"', text)
        return _line(text, match)
    if ecosystem == "maven" and file == POM:
        group, _, artifact = name.rpartition(":")
        between = r"\s*(?:<(?:type|scope)>[^<]*</(?:type|scope)>\s*)*"
        wanted = (
            rf"<groupId>\s*{re.escape(group)}\s*</groupId>\s*<artifactId>\s*{re.escape(artifact)}\s*</artifactId>"
            rf"{between}<version>\s*{re.escape(version)}\s*</version>"
        )
        return _line(text, re.search(wanted, text))
    return 0


def can_raise(file: str, text: str, line: int) -> bool:
    """Whether a pin may be raised by rewriting its line: a requirement without digests of files, which would no longer
    be right."""
    if not REQUIREMENTS.fullmatch(file):
        return False
    lines = text.splitlines()
    return "--hash" not in text and 0 < line <= len(lines) and not lines[line - 1].rstrip().endswith("\\")


def raised(text: str, line: int, old: str, new: str) -> str:
    """The text with a requirement of that line at the new version; all else as it is."""
    lines = text.splitlines(keepends=True)
    lines[line - 1] = re.sub(
        rf"(===?\s*){re.escape(old)}(?![\w.+!-])", lambda m: f"{m[1]}{new}", lines[line - 1], count=1
    )
    return "".join(lines)


def how(ecosystem: Ecosystem, name: str, old: str, new: str) -> str:
    """What a person does to raise a version."""
    match ecosystem:
        case "pypi":
            return f"{name}=={old} -> {name}=={new}"
        case "npm":
            return f"npm install {name}@{new}, which writes package-lock.json"
        case "maven":
            return f"{name}:{old} -> {name}:{new}, then build it anew"
        case "golang":
            return f"go get {name}@{new if new.startswith('v') else f'v{new}'}, then build it anew"
        case "cargo":
            return f"cargo update -p {name} --precise {new}, then build it anew"
        case "deb":
            return f"bluestone lock --upgrade {name}"


def _pins(line: str, name: str, version: str) -> bool:
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;#,\\]+)", line)
    return match is not None and _plain(match[1]) == _plain(name) and match[2] == version


def _plain(name: str) -> str:
    """A Python project's name as all its spellings compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _line(text: str, match: re.Match[str] | None) -> int:
    return text.count("\n", 0, match.end()) + 1 if match else 0
