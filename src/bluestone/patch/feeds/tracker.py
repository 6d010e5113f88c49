"""The Debian Security Tracker's JSON: source package -> CVE -> what it means for each release. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from bluestone.model.advisory import Advisory, Affected, Range, Severity
from bluestone.model.exposure import realm
from bluestone.patch.feeds.reading import Damaged, Reading

URGENCIES: dict[str, Severity] = {"high": "high", "medium": "medium", "low": "low", "unimportant": "low"}
"""Of a release; a `*` after it says that a person has set it."""

SUMMARY = 200


class _Release(msgspec.Struct, gc=False):
    status: str
    fixed_version: str = ""
    urgency: str = ""
    nodsa_reason: str | None = None


class _Issue(msgspec.Struct, gc=False):
    releases: dict[str, _Release]
    description: str = ""


def read(content: bytes, wanted: Collection[str]) -> Reading:
    """What the tracker says of releases whose codenames are wanted. Raises `Damaged`.

    A release that it does not know at all is not covered. It names what is open and what was fixed; `0` as the version
    that fixes says that a release never had it.
    """
    try:
        found = msgspec.json.decode(content, type=dict[str, dict[str, _Issue]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"cannot be read: {error}") from error
    known: set[str] = set()
    advisories: dict[str, list[Affected]] = {}
    texts: dict[str, tuple[str, Severity]] = {}
    count = 0
    for source, issues in found.items():
        for name, issue in issues.items():
            count += 1
            known |= issue.releases.keys()
            for affected, severity in _affected(source, issue, wanted):
                advisories.setdefault(name, []).append(affected)
                texts.setdefault(name, (issue.description[:SUMMARY], severity))
    return Reading(
        count,
        tuple(realm("deb", each) for each in sorted(known & set(wanted))),
        None,  # It does not say; whoever fetched it knows.
        tuple(
            Advisory(name, "debian", tuple(affected), summary=texts[name][0], severity=texts[name][1])
            for name, affected in advisories.items()
        ),
    )


def _affected(source: str, issue: _Issue, wanted: Collection[str]) -> Iterator[tuple[Affected, Severity]]:
    for release in wanted:
        said = issue.releases.get(release)
        if said is None or said.fixed_version == "0":
            continue
        severity = URGENCIES.get(said.urgency.rstrip("*"), "unknown")
        if said.status == "undetermined":
            why = f"Debian has not determined whether {source} has it"
            yield Affected("deb", source, (), (), release, undecided=why), severity
        elif said.status in ("open", "resolved"):
            fixed = said.fixed_version if said.status == "resolved" else ""
            yield Affected("deb", source, (Range(fixed=fixed),), (), release), severity
        else:
            raise Damaged(f"gives {source} a status that is not known, {said.status[:40]!r}")
