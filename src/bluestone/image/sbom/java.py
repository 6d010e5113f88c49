"""Java archives: what each is, what was shaded into it, and what archives are in it. Pure: the reading is handed in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bluestone.image.sbom.archive import Damaged, ReadAt, Zip
from bluestone.image.sbom.maven import (
    Coordinates,
    manifest,
    manifest_version,
    of_name,
    of_place,
    pom_properties,
    pom_xml,
)
from bluestone.image.sbom.place import Place
from bluestone.image.sbom.purl import purl
from bluestone.model.bom import Component, Unidentified

SURE = (".jar", ".war", ".ear")
SUFFIXES = (*SURE, ".aar", ".har", ".hpi", ".jpi", ".kar", ".lpkg", ".nar", ".par", ".rar", ".sar")
"""Of archives with Java in them. But for the first three, other things may be called so as well."""

DEEPEST = 8
LARGEST_FILE = 1 << 20
"""Bytes of a pom or a manifest that are read at most."""

LARGEST_ARCHIVE = 128 << 20
"""Bytes of an archive within another one that are unpacked at most."""

BUDGET = 512 << 20
"""Bytes that are unpacked at most of all that is within one file."""

MOST_POMS = 5000
MOST_ARCHIVES = 10_000
"""Archives within one file that are looked into at most."""

MANIFEST = "META-INF/MANIFEST.MF"

POM = "pom.properties in the archive"
POM_XML = "pom.xml in the archive"
SHADED = "shaded into the archive: its pom is there"
REPOSITORY = "place in a Maven repository"
FILE_NAME = "name of the file"
NAME_AND_MANIFEST = "name of the file and version in the manifest"

_POM = re.compile(r"(?:.*/)?META-INF/maven/[^/]+/[^/]+/pom\.(?:properties|xml)")


@dataclass
class Found:
    """What was found so far within one file, and how much may still be unpacked."""

    components: list[Component] = field(default_factory=list)
    unidentified: list[Unidentified] = field(default_factory=list)
    budget: int = BUDGET
    archives: int = 0

    def unpack(self, archive: Zip, name: str, most: int) -> bytes:
        """The content of a member, at the expense of the budget. Raises `Damaged`."""
        if archive.size(name) > self.budget:
            raise Damaged(f"more than {BUDGET >> 20} MiB would be unpacked")
        data = archive.read(name, min(most, self.budget))
        self.budget -= len(data)
        return data


def catalogue(place: Place, read: ReadAt, size: int, known: tuple[Coordinates, ...] = ()) -> Found:
    """All that is in the archive of `size` bytes. `known` are coordinates by which links in a repository call it."""
    found = Found()
    look(place, read, size, found, 0, known)
    return found


def by_place(path: str, owner: str, coordinates: Coordinates) -> Component:
    """An artifact that a place in a Maven repository names."""
    return _component(Place(path, owner), coordinates, REPOSITORY, 0.9)


def look(place: Place, read: ReadAt, size: int, found: Found, depth: int, known: tuple[Coordinates, ...] = ()) -> None:
    """Add what is in the archive of `size` bytes, `depth` archives deep, to what was found."""
    try:
        archive = Zip(read, size)
    except Damaged as error:
        if place.name.lower().endswith(SURE):
            found.unidentified.append(Unidentified(place.path, str(error), place.owner))
        return
    _identify(place, archive, found, known)
    within(place, archive, found, depth)


def within(place: Place, archive: Zip, found: Found, depth: int) -> None:
    """Add what is in the archives in an archive that is `depth` deep to what was found."""
    for name in archive.names:
        if not name.lower().endswith(SUFFIXES):
            continue
        if found.archives >= MOST_ARCHIVES:
            reason = f"there are more than {MOST_ARCHIVES} archives in one file"
            found.unidentified.append(Unidentified(place.path, reason, place.owner))
            break
        found.archives += 1
        _descend(place.within(name), archive, name, found, depth + 1)


def _descend(place: Place, archive: Zip, name: str, found: Found, depth: int) -> None:
    try:
        if depth > DEEPEST:
            raise Damaged(f"it is more than {DEEPEST} archives deep")
        data = found.unpack(archive, name, LARGEST_ARCHIVE)
    except Damaged as error:
        found.unidentified.append(Unidentified(place.path, str(error), place.owner))
        return
    look(place, lambda offset, length: data[offset : offset + length], len(data), found, depth)


def _identify(place: Place, archive: Zip, found: Found, known: tuple[Coordinates, ...]) -> None:
    """Every pom in an archive names something that is in it; the one that fits the archive's name names the archive."""
    poms = _poms(archive, found)
    named = of_name(place.name)
    own = _own(place, poms, named)
    for coordinates, evidence in poms.items():
        if coordinates == own:
            classified = coordinates._replace(classifier=_classifier(place.name, coordinates))
            found.components.append(_component(place, classified, evidence, 1.0))
        else:
            found.components.append(_component(place, coordinates, SHADED, 0.9))
    if own:
        return
    if by_path := of_place(place.path):
        found.components.append(_component(place, by_path, REPOSITORY, 0.9))
        return
    if named.version:
        called = next((each for each in known if each[1:3] == named[1:3]), named)
        evidence, confidence = (REPOSITORY, 0.9) if called.group else (FILE_NAME, 0.6)
        found.components.append(_component(place, called, evidence, confidence))
    elif version := manifest_version(_manifest(archive, found)):
        coordinates = Coordinates("", named.artifact, version)
        found.components.append(_component(place, coordinates, NAME_AND_MANIFEST, 0.5))
    elif not poms and not known:
        reason = "neither its name nor anything in it says what it is"
        found.unidentified.append(Unidentified(place.path, reason, place.owner))


def _own(place: Place, poms: dict[Coordinates, str], named: Coordinates) -> Coordinates | None:
    """That of the poms which is the archive's own: by its name, or as the only one of an archive that was renamed."""
    stem = place.name.rpartition(".")[0]
    fitting = [each for each in poms if stem == each.artifact or stem.startswith(f"{each.artifact}-{each.version}")]
    if not fitting:
        fitting = [each for each in poms if each.artifact == named.artifact]
    if not fitting and len(poms) == 1 and not named.version:
        fitting = list(poms)
    return max(fitting, key=lambda each: len(each.artifact), default=None)


def _poms(archive: Zip, found: Found) -> dict[Coordinates, str]:
    """Coordinates of each pom -> what told them. A pom.xml counts where there are no properties that can be read."""
    names = [name for name in archive.names if "META-INF/maven/" in name and _POM.fullmatch(name)][:MOST_POMS]
    poms: dict[str, tuple[Coordinates, str]] = {}
    for name in sorted(names):  # .properties, then .xml
        directory = name.rpartition("/")[0]
        if directory in poms:
            continue
        parse, evidence = (pom_properties, POM) if name.endswith(".properties") else (pom_xml, POM_XML)
        try:
            coordinates = parse(found.unpack(archive, name, LARGEST_FILE))
        except Damaged:
            continue
        if coordinates:
            poms[directory] = (coordinates, evidence)
    return dict(poms.values())


def _manifest(archive: Zip, found: Found) -> dict[str, str]:
    try:
        return manifest(found.unpack(archive, MANIFEST, LARGEST_FILE))
    except (KeyError, Damaged):
        return {}


def _classifier(name: str, coordinates: Coordinates) -> str:
    stem, start = name.rpartition(".")[0], f"{coordinates.artifact}-{coordinates.version}-"
    return stem.removeprefix(start) if stem.startswith(start) else ""


def _component(place: Place, coordinates: Coordinates, evidence: str, confidence: float) -> Component:
    group, artifact, version, classifier = coordinates
    kind = place.name.rpartition(".")[2].lower()
    qualifiers = {"classifier": classifier, "type": "" if kind == "jar" or evidence == SHADED else kind}
    # An artifact without a group has no package URL of Maven's; to guess one would name another artifact.
    url = purl("maven", group, artifact, version, **qualifiers) if group else purl("generic", "", artifact, version)
    return Component(
        ecosystem="maven",
        name=f"{group}:{artifact}" if group else artifact,
        version=version,
        purl=url,
        path=place.path,
        evidence=evidence,
        confidence=confidence,
        owner=place.owner,
    )
