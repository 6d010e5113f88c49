"""OSV's records (ossf.github.io/osv-schema), of one ecosystem: the members of its zip, one after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from bluestone.model.advisory import Advisory, Affected, Range, Severity
from bluestone.model.bom import Ecosystem
from bluestone.patch.feeds.cvss import base_score
from bluestone.patch.feeds.reading import Damaged, Reading, moment, rated

ECOSYSTEMS: dict[str, Ecosystem] = {
    "PyPI": "pypi",
    "npm": "npm",
    "Maven": "maven",
    "Go": "golang",
    "crates.io": "cargo",
}
"""OSV's words and package URLs'. What follows a colon in OSV's (`Maven:https://...`) names a repository."""

TOOLCHAIN = {"stdlib": "stdlib", "toolchain": "stdlib"}
"""Go's own names of what its compiler brings."""

WORDS: dict[str, Severity] = {
    "CRITICAL": "critical",
    "HIGH": "high",
    "MODERATE": "medium",
    "MEDIUM": "medium",
    "LOW": "low",
}
LARGEST = 64 << 20
"""Bytes of one record."""

SUMMARY = 200
"""Characters of a summary that are kept."""


class _Package(msgspec.Struct, gc=False):
    ecosystem: str = ""
    name: str = ""


class _Event(msgspec.Struct, gc=False):
    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""


class _Range(msgspec.Struct, gc=False):
    type: str = ""
    events: list[_Event] = []


class _Affected(msgspec.Struct, gc=False):
    package: _Package = msgspec.field(default_factory=_Package)
    ranges: list[_Range] | None = None
    versions: list[str] | None = None


class _Severity(msgspec.Struct, gc=False):
    type: str = ""
    score: str = ""


class _Specific(msgspec.Struct, gc=False):
    severity: object = None


class _Record(msgspec.Struct, gc=False):
    id: str
    published: str = ""
    modified: str = ""
    withdrawn: str = ""
    summary: str = ""
    aliases: list[str] | None = None
    upstream: list[str] | None = None
    affected: list[_Affected] | None = None
    severity: list[_Severity] | None = None
    database_specific: _Specific | None = None


def read(members: Iterable[tuple[str, bytes]], ecosystem: Ecosystem) -> Reading:
    """The records in files of a zip, named and with their content. Raises `Damaged`."""
    decoder = msgspec.json.Decoder(_Record)
    advisories: list[Advisory] = []
    newest, count = "", 0
    for name, content in members:
        if not name.endswith(".json"):
            continue
        try:
            record = decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged(f"has a record that cannot be read, {name}: {error}") from error
        count += 1
        if record.modified > newest:
            newest = record.modified
        if not record.withdrawn and (affected := tuple(_affected(record, ecosystem))):
            advisories.append(_advisory(record, affected))
    covers = (ecosystem,) if advisories else ()
    return Reading(count, covers, moment(newest), tuple(advisories))


def _affected(record: _Record, ecosystem: Ecosystem) -> list[Affected]:
    found = []
    for each in record.affected or ():
        known, name = each.package.ecosystem, each.package.name
        if known not in ECOSYSTEMS:
            known = known.partition(":")[0]
        if ECOSYSTEMS.get(known) != ecosystem:
            continue
        if ecosystem == "golang":
            name = TOOLCHAIN.get(name, name)
        ranges: list[Range] = []
        for said in each.ranges or ():
            if said.type != "GIT":
                ranges += _ranges(said.events)
        found.append(Affected(ecosystem, name, tuple(ranges), tuple(each.versions or ())))
    return found


def _ranges(events: list[_Event]) -> list[Range]:
    """Ranges of events. They come in order, each `introduced` before what ends it; one that nothing ends stays open."""
    found: list[Range] = []
    begun: str | None = None
    for event in events:
        if event.introduced:
            if begun is not None:
                found.append(Range(begun))
            begun = "" if event.introduced == "0" else event.introduced
        elif event.fixed or event.last_affected:
            found.append(Range(begun or "", event.fixed, event.last_affected))
            begun = None
    if begun is not None:
        found.append(Range(begun))
    return found


def _advisory(record: _Record, affected: tuple[Affected, ...]) -> Advisory:
    cvss: float | None = None
    for each in record.severity or ():
        score = base_score(each.score)
        if score is not None and (cvss is None or score > cvss):
            cvss = score
    severity = _unrated(record) if cvss is None else rated(cvss)
    aliases = (*(record.aliases or ()), *(record.upstream or ()))
    # By position, in the order of `Advisory`: there are tens of thousands, and words would take twice as long.
    return Advisory(
        record.id,
        "osv",
        affected,
        aliases,
        record.summary[:SUMMARY],
        severity,
        cvss,
        False,
        None,
        None,
        _published(record.published),
    )


def _unrated(record: _Record) -> Severity:
    """What the one who keeps the record says where nobody gave a score."""
    word = record.database_specific.severity if record.database_specific else None
    return WORDS.get(word.upper(), "unknown") if isinstance(word, str) else "unknown"


def _published(text: str) -> datetime | None:
    return moment(text) if text else None
