"""What Java archives say of themselves: Maven's files, the manifest, and their names. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_UNSAFE = re.compile(r"[\s${}<>/\\:!]")
_NUMBER = re.compile(r"[vr]?\d[\w.+~]*")
_QUALIFIER = re.compile(
    r"(alpha|beta|b|rc|cr|m|milestone|pre|preview|snapshot|sp|p|r|rev|build|jre|jdk|android|dev|ga|final|release)\d*",
    re.IGNORECASE,
)
_CLASSIFIER = re.compile(
    r"-(sources|test-sources|javadoc|tests|all|shaded|uber|fat|exec|boot|plain|jar-with-dependencies|natives?(-\w+)*"
    r"|(linux|osx|macos|windows|win|mac|freebsd)(-(x86_64|x86_32|x86|x64|amd64|i386|i686|aarch64|aarch_64|arm64|arm|armv7"
    r"|riscv64|ppc64le|ppcle_64|s390x|s390_64|musl|fedora|gnu|debug))*)$"
)
_PROPERTY = re.compile(r"\$\{([^}]+)\}")
LONGEST_NAME = 255
"""Characters of a name that is taken apart: a file's name has no more, a member of an archive might."""

REPOSITORIES = ("repository", "maven-repo")
"""Directories below which Maven and Debian lay artifacts by their coordinates."""


class Coordinates(NamedTuple):
    """What names an artifact; `group` is empty if it is not known, `classifier` if it is the main one."""

    group: str
    artifact: str
    version: str
    classifier: str = ""


def pom_properties(data: bytes) -> Coordinates | None:
    """The coordinates in a pom.properties, if it has all three."""
    values = {}
    for line in data.decode(errors="replace").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", "!")):
            values[key.strip()] = value.strip()
    return _whole(values.get("groupId", ""), values.get("artifactId", ""), values.get("version", ""))


def pom_xml(data: bytes) -> Coordinates | None:
    """The coordinates in a pom.xml, if all three are in it, its parent or its properties."""
    text = data.decode(errors="replace").removeprefix("\ufeff")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None  # No project has one, and entities may unfold without end.
    from xml.etree import ElementTree  # Most trees have no pom.xml, and loading it takes a while.

    try:
        project = ElementTree.fromstring(text)  # noqa: S314 - no entities, see above
    except (ElementTree.ParseError, ValueError):
        return None
    own = {_local(child.tag): (child.text or "").strip() for child in project}
    parent = _children(project, "parent")
    values = _children(project, "properties")
    values |= {f"{prefix}{key}": value for key, value in own.items() for prefix in ("project.", "pom.")}
    values |= {f"project.parent.{key}": value for key, value in parent.items()}
    fields = [own.get(key) or parent.get(key, "") for key in ("groupId", "version")]
    group, version = (_resolved(field, values) for field in fields)
    return _whole(group, _resolved(own.get("artifactId", ""), values), version)


def manifest(data: bytes) -> dict[str, str]:
    """The main attributes of a MANIFEST.MF (JAR file specification), their names in lower case."""
    text = data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    # A line that begins with a space goes on from the one before; an empty one ends the main section.
    section = text.replace("\n ", "").lstrip("\n").partition("\n\n")[0]
    pairs = (line.partition(":") for line in section.split("\n"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def manifest_version(attributes: dict[str, str]) -> str:
    """The version of an archive by its manifest; that of a specification says nothing of it."""
    for name in ("implementation-version", "plugin-version", "bundle-version"):
        version = attributes.get(name, "").strip("\"'")
        if version and not _UNSAFE.search(version) and any(character.isdigit() for character in version):
            return version
    return ""


def of_name(name: str) -> Coordinates:
    """What a file's name tells: `guava-33.0.0-jre.jar`; the version is empty if it has none."""
    stem, classifier = name.rpartition(".")[0], ""
    if len(name) > LONGEST_NAME:
        return Coordinates("", stem, "")
    if match := _CLASSIFIER.search(stem):
        stem, classifier = stem[: match.start()], match[1]
    parts = stem.split("-")
    at = _version_at(parts)
    if at and "-".join(parts[:at]):
        return Coordinates("", "-".join(parts[:at]), "-".join(parts[at:]), classifier)
    return Coordinates("", name.rpartition(".")[0], "")


def _version_at(parts: list[str]) -> int:
    """Where the version begins: at the first number, or a later one after a word (`log4j-1.2-api-2.20.0`). 0: none."""
    numbers = [index for index in range(1, len(parts)) if _NUMBER.fullmatch(parts[index])]
    at = numbers[0] if numbers else 0
    for index in numbers[1:]:
        before = parts[index - 1]
        if "." in parts[index] and not _NUMBER.fullmatch(before) and not _QUALIFIER.fullmatch(before):
            at = index
    return at


def of_place(path: str) -> Coordinates | None:
    """The coordinates of a file in a Maven repository: `.../repository/GROUP/ARTIFACT/VERSION/ARTIFACT-VERSION.jar`.

    Debian has links for "the version of Debian" and "any 1.x" there, which name no version.
    """
    *above, artifact, version, name = path.strip("/").split("/") if path.count("/") > 4 else ["", "", ""]
    if not above or not name.startswith(f"{artifact}-{version}") or version == "debian" or version.endswith(".x"):
        return None
    roots = [index for index, part in enumerate(above) if part in REPOSITORIES]
    group = ".".join(above[roots[-1] + 1 :]) if roots else ""
    classifier = name.rpartition(".")[0].removeprefix(f"{artifact}-{version}")
    whole = _whole(group, artifact, version)
    return whole._replace(classifier=classifier.removeprefix("-")) if whole else None


def _whole(group: str, artifact: str, version: str) -> Coordinates | None:
    parts = (group, artifact, version)
    return Coordinates(*parts) if all(parts) and not any(map(_UNSAFE.search, parts)) else None


def _resolved(text: str, values: dict[str, str]) -> str:
    """The text with properties replaced. Three rounds: more have no honest use."""
    for _ in range(3):
        if "${" not in text or len(text) > 200:
            break
        text = _PROPERTY.sub(lambda match: values.get(match[1].strip(), match[0]), text)
    return text


def _children(project: Element, name: str) -> dict[str, str]:
    element = next((child for child in project if _local(child.tag) == name), None)
    return {} if element is None else {_local(child.tag): (child.text or "").strip() for child in element}


def _local(tag: object) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
