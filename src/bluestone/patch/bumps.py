"""Pinned versions in files that an application brings along: where one stands, and the text with another. Pure.

Raised are pip's requirements, npm's package-lock and Maven's pom.xml, each by its module in `pins`. yarn's and pnpm's
locks are told of: both name digests in forms of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from bluestone.model.bom import Ecosystem
from bluestone.patch.pins import maven, npm, requirements
from bluestone.patch.pins.kept import LeftAlone

OTHERS = ("yarn.lock", "pnpm-lock.yaml")

Ask = Callable[[str], bytes | None]
"""A registry's answer at an address; None where there is none."""


class Bump(Struct, frozen=True):
    """A version that ends exposures of `advisories` in place of one that stands in a file of the declaration.

    `line` counts from 1; 0 where only the file is known (a jar). `how` is what to do about it; `raises` whether `patch`
    writes it, as the declaration allows; `kept` why it does not though that allows it. `rebuilds` says that what
    servers run is made from that file elsewhere: a patch alone does not bring it. `path` is the file on the server.
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
    kept: str = ""
    rebuilds: bool = False


def has_pins(file: str) -> bool:
    """Whether a file of that name pins versions."""
    return bool(requirements.FILE.fullmatch(file)) or file in (npm.FILE, maven.FILE, *OTHERS)


def find_pin(file: str, text: str, ecosystem: Ecosystem, name: str, version: str) -> int:
    """The line on which a file of that name pins a package to a version; 0 if it does not."""
    if ecosystem == "pypi" and requirements.FILE.fullmatch(file):
        return requirements.find(text, name, version)
    if ecosystem == "npm" and file == npm.FILE:
        return npm.find(text, name, version)
    if ecosystem == "npm" and file in OTHERS:
        return _find_other(text, name, version)
    if ecosystem == "maven" and file == maven.FILE:
        return maven.find(text, name, version)
    return 0


def raised(file: str, text: str, name: str, old: str, new: str, ask: Ask) -> str:
    """The text of a file of that name with `new` wherever `old` was pinned; all else as it is. Raises `LeftAlone`."""
    if requirements.FILE.fullmatch(file):
        return requirements.raised(text, name, old, new)
    if file == maven.FILE:
        return maven.raised(text, name, old, new)
    if file == npm.FILE:
        answer = ask(npm.question(text, name, old, new))
        if answer is None:
            raise LeftAlone(f"its registry does not tell the digest of {name} {new}")
        return npm.raised(text, name, old, new, npm.published(answer, name, new))
    raise LeftAlone(f"{file} is written by its own tool alone")


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


def _find_other(text: str, name: str, version: str) -> int:
    """In a lock of yarn's (both of its forms) or pnpm's: the line of the version."""
    plain, exact = re.escape(name), re.escape(version)
    forms = (
        rf'^"?{plain}@[^\n]*:\n(?:  [^\n]*\n)*?  "?version"?:? "?{exact}"?$',
        rf"^ *'?/?{plain}[@/]{exact}(?:[(_][^\n]*)?'?:",
    )
    found = (re.search(form, text, re.MULTILINE) for form in forms)
    match = next(filter(None, found), None)
    return text.count("\n", 0, match.end()) + 1 if match else 0
