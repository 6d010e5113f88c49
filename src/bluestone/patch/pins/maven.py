"""Maven's pom.xml: a dependency's version, written there or in a property of the same file. Pure.

Read by pattern, as an XML writer would not leave the rest as it is: comments and CDATA are blanked first, in place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from bluestone.patch.pins.kept import LeftAlone

FILE = "pom.xml"

_HIDDEN = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>", re.DOTALL)
_ENTRY = re.compile(r"<(dependency|plugin)>((?:(?!</?\1>).)*)</\1>", re.DOTALL)
_PROPERTY = re.compile(r"\$\{([\w.-]+)\}")


class _Entry(Struct, frozen=True):
    """A dependency or a plugin: its group and artifact, and where its version stands."""

    group: str
    artifact: str
    version: str
    begin: int
    end: int


def find(text: str, name: str, version: str) -> int:
    """The line on which `group:artifact` gets that version, from 1: its own, or its property's; 0 if none does."""
    span = next((span for _, span in _places(_seen(text), name, version)), None)
    return text.count("\n", 0, span[0]) + 1 if span else 0


def raised(text: str, name: str, old: str, new: str) -> str:
    """The text with the new version wherever `name` has the old one; all else as it is. Raises `LeftAlone`.

    A property that artifacts of another group share is left alone: they would move as well.
    """
    seen = _seen(text)
    spans = set()
    for variable, span in _places(seen, name, old):
        if variable and (others := _sharing(seen, variable, name.rpartition(":")[0])):
            raise LeftAlone(f"the property {variable} is also the version of {', '.join(others[:3])}")
        spans.add(span)
    for begin, end in sorted(spans, reverse=True):
        text = text[:begin] + new + text[end:]
    return text


def _places(seen: str, name: str, version: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where a version is written that `name` has, and the property that it is of, if it is."""
    for entry in _entries(seen):
        if f"{entry.group}:{entry.artifact}" != name:
            continue
        if entry.version == version:
            yield "", (entry.begin, entry.end)
        elif variable := _PROPERTY.fullmatch(entry.version):
            for begin, end in _values(seen, variable[1]):
                if seen[begin:end] == version:
                    yield variable[1], (begin, end)


def _entries(seen: str) -> Iterator[_Entry]:
    for match in _ENTRY.finditer(seen):
        # What an entry leaves out, or has its own dependencies, is not about itself.
        own = re.sub(r"<(exclusions|dependencies|configuration|executions)>.*?</\1>", _blank, match[2], flags=re.DOTALL)
        found = {
            tag: re.search(rf"<{tag}>\s*([^<\s]+)\s*</{tag}>", own) for tag in ("groupId", "artifactId", "version")
        }
        group, artifact, version = found["groupId"], found["artifactId"], found["version"]
        if artifact and version and (group or match[1] == "plugin"):
            at = match.start(2)
            begin, end = at + version.start(1), at + version.end(1)
            yield _Entry(group[1] if group else "org.apache.maven.plugins", artifact[1], version[1], begin, end)


def _values(seen: str, variable: str) -> Iterator[tuple[int, int]]:
    for properties in re.finditer(r"<properties>(.*?)</properties>", seen, re.DOTALL):
        tag = re.escape(variable)
        for match in re.finditer(rf"<{tag}>\s*([^<\s]+)\s*</{tag}>", properties[1]):
            yield properties.start(1) + match.start(1), properties.start(1) + match.end(1)


def _sharing(seen: str, variable: str, group: str) -> list[str]:
    """Artifacts of other groups with this property for a version, and other properties that are made of it."""
    word = f"${{{variable}}}"
    those = [f"{each.group}:{each.artifact}" for each in _entries(seen) if word in each.version and each.group != group]
    return those + re.findall(rf"<([\w.-]+)>[^<]*{re.escape(word)}[^<]*</(?!version>)\1>", seen)


def _seen(text: str) -> str:
    return _HIDDEN.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])
