"""pip's requirements files: `name==version`. Pure."""

from __future__ import annotations

import re

from bluestone.patch.pins.kept import LeftAlone

FILE = re.compile(r"[^/]*requirements[^/]*\.txt|constraints[^/]*\.txt")


def find(text: str, name: str, version: str) -> int:
    """The line that pins a project to a version, from 1; 0 if none does."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if _pins(line, name, version)), 0)


def raised(text: str, name: str, old: str, new: str) -> str:
    """The text with that requirement at the new version; all else as it is. Raises `LeftAlone`."""
    number = find(text, name, old)
    lines = text.splitlines(keepends=True)
    if "--hash" in text:
        raise LeftAlone("it names digests, and nobody here has checked the new file")
    if lines[number - 1].rstrip().endswith("\\"):
        raise LeftAlone("its line goes on")
    lines[number - 1] = re.sub(
        rf"(===?\s*){re.escape(old)}(?![\w.+!-])", lambda m: f"{m[1]}{new}", lines[number - 1], count=1
    )
    return "".join(lines)


def _pins(line: str, name: str, version: str) -> bool:
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;#,\\]+)", line)
    return match is not None and _plain(match[1]) == _plain(name) and match[2] == version


def _plain(name: str) -> str:
    """A Python project's name as all its spellings compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
