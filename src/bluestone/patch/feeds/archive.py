"""The archive that images are made from, as a feed: a newer version there is a fix that is pending. Pure.

What comes by the security suite is a fix, whether its changelog says so or not. What comes by the suite itself (a point
release) or by its updates is one if a changelog entry since the image's version names a CVE.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

from bluestone.model.advisory import Advisory, Affected, Range
from bluestone.model.exposure import realm
from bluestone.model.lock import Release
from bluestone.patch.changelog import Entry
from bluestone.patch.feeds.reading import Reading
from bluestone.patch.versions import debian

SECURITY = "security"
"""What a lock calls the archive of the security suite."""


class Snapshot(msgspec.Struct):
    """What archives had when they were last asked.

    `newest` is by source package and archive; `logs` by source and newest version, with a space between: None of
    those that have no changelog which could be read. `seen` says since when a version was seen here.
    """

    codename: str
    releases: tuple[Release, ...]
    newest: dict[str, dict[str, str]]
    logs: dict[str, tuple[Entry, ...] | None]
    seen: dict[str, datetime]


def renewed(
    known: Snapshot | None,
    codename: str,
    releases: tuple[Release, ...],
    newest: dict[str, dict[str, str]],
    now: datetime,
) -> Snapshot:
    """A snapshot of today that remembers what the one before knew of versions that are still the newest."""
    current = {f"{source} {newest_of(offers)}" for source, offers in newest.items()}
    if known is None:
        # What is there when the archive is first asked may have been there for long: nobody saw it come.
        return Snapshot(codename, releases, newest, {}, {})
    before = {f"{source} {newest_of(offers)}" for source, offers in known.newest.items()}
    seen = {name: at for name, at in known.seen.items() if name in current} | dict.fromkeys(current - before, now)
    return Snapshot(codename, releases, newest, {name: known.logs[name] for name in known.logs.keys() & current}, seen)


def newest_of(offers: Mapping[str, str]) -> str:
    """The newest version of a source, whatever archive has it."""
    return max(offers.values(), key=debian.key)


def is_older(version: str, than: str) -> bool:
    """Whether a version is older than another; one that is none is, so that it is looked at."""
    try:
        return debian.key(version) < debian.key(than)
    except ValueError:
        return True


def unread(snapshot: Snapshot, held: Iterable[tuple[str, str]]) -> list[str]:
    """Sources of which images hold a version that is older than the newest, and whose changelog was not read yet."""
    found = set()
    for source, version in held:
        offers = snapshot.newest.get(source)
        if offers and is_older(version, newest := newest_of(offers)) and f"{source} {newest}" not in snapshot.logs:
            found.add(source)
    return sorted(found)


def read(snapshot: Snapshot, held: Collection[str]) -> Reading:
    """What is pending of the source packages that images hold.

    A source that no archive has is undecided, and so is a newer version whose changelog was not read and that did not
    come by the security suite.
    """
    advisories: list[Advisory] = []
    for source in sorted(held):
        if source in snapshot.newest:
            advisories += _pending(snapshot, source, snapshot.newest[source])
        else:
            why = f"no archive has {source}: nobody tells what is wrong in it"
            advisories.append(_undecided(snapshot, source, "", why))
    dated = max((each.date for each in snapshot.releases), default=None)
    return Reading(len(snapshot.newest), (realm("deb", snapshot.codename),), dated, tuple(advisories))


def _pending(snapshot: Snapshot, source: str, offers: Mapping[str, str]) -> Iterator[Advisory]:
    newest, secure = newest_of(offers), offers.get(SECURITY, "")
    log = snapshot.logs.get(f"{source} {newest}")
    told = False
    for entry in log or ():
        if entry.cves or entry.version == secure:
            told |= entry.version == secure
            yield _advisory(snapshot, source, entry.version, entry.cves, entry.at)
    if secure and not told:
        yield _advisory(snapshot, source, secure, (), None)
    if not log and newest != secure:
        why = f"a newer {source} is in the archive, {newest}, and its changelog could not be read"
        yield _undecided(snapshot, source, newest, why)


def _advisory(snapshot: Snapshot, source: str, version: str, cves: tuple[str, ...], made: datetime | None) -> Advisory:
    name = f"{source} {version}"
    since = made or snapshot.seen.get(name)
    affected = Affected("deb", source, (Range(fixed=version),), (), snapshot.codename, since)
    return Advisory(name, "archive", (affected,), cves, published=since, pending=True)


def _undecided(snapshot: Snapshot, source: str, version: str, why: str) -> Advisory:
    ranges = (Range(fixed=version),) if version else ()
    affected = Affected("deb", source, ranges, (), snapshot.codename, undecided=why)
    return Advisory(f"{source} {version}".rstrip(), "archive", (affected,), pending=True)
