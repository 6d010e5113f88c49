"""Advisories x what images hold -> exposures, each with its verdict. Pure.

An advisory is *met* by the versions it is about; what follows from that is the *verdict*. What cannot be decided is
unknown, never clean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from bluestone.model.advisory import Advisory, Affected
from bluestone.model.exposure import Exposure, Unknown, Verdict
from bluestone.model.ids import Digest
from bluestone.patch.estate import Entry, Estate, Shelf
from bluestone.patch.inventory.query import folded
from bluestone.patch.versions import KEYS


class Interval(NamedTuple):
    """A `model.advisory.Range` by keys; None is the end on that side. `fixed` is the text of the version that mends."""

    low: Any
    high: Any
    with_high: bool
    fixed: str


class Compiled(NamedTuple):
    """What an advisory says of one package, ready to be compared. `exact` are keys of versions that it names one by
    one; `incomparable` is a version of its own that has no place in the order, if there is one."""

    advisory: Advisory
    affected: Affected
    intervals: tuple[Interval, ...]
    exact: tuple[Any, ...]
    incomparable: str = ""


class Match(NamedTuple):
    """An advisory and a version that it is about. `fixed` is "" where nothing mends it; `sure` is false where it could
    not be compared."""

    advisory: Advisory
    affected: Affected
    entry: Entry
    fixed: str
    sure: bool = True


def compiled(advisory: Advisory) -> Iterator[Compiled]:
    """An advisory, package by package, with its versions as keys."""
    for affected in advisory.affected:
        key = KEYS[affected.ecosystem]
        intervals, exact, odd = [], [], ""
        for each in affected.ranges:
            try:
                low = key(each.introduced) if each.introduced else None
                end = each.fixed or each.last
                high = key(end) if end else None
            except ValueError as error:
                odd = str(error)
            else:
                intervals.append(Interval(low, high, not each.fixed, each.fixed))
        for version in affected.versions:
            try:
                exact.append(key(version))
            except ValueError:
                continue  # No version that can be compared is equal to it; those that cannot are compared as text.
        yield Compiled(advisory, affected, tuple(intervals), tuple(exact), odd)


@dataclass(frozen=True)
class Catalogue:
    """Advisories by the names that they are about, compiled."""

    by_name: dict[tuple[str, str], list[Compiled]]

    @classmethod
    def of(cls, advisories: Iterable[Advisory]) -> Catalogue:
        """A catalogue of these."""
        by_name: dict[tuple[str, str], list[Compiled]] = {}
        for advisory in advisories:
            for each in compiled(advisory):
                key = (each.affected.ecosystem, folded(each.affected.ecosystem, each.affected.name))
                by_name.setdefault(key, []).append(each)
        return cls(by_name)


def match(estate: Estate, catalogue: Catalogue) -> list[Match]:
    """All versions in the estate that an advisory is about."""
    wanted = {(where.partition(":")[0], name) for where, name in estate.shelves}
    artifacts = {name for where, name in estate.shelves if where == "maven" and ":" not in name}
    found: list[Match] = []
    for key, about in catalogue.by_name.items():
        if key in wanted or (artifacts and key[0] == "maven" and key[1].rpartition(":")[2] in artifacts):
            for each in about:
                found += meet(estate, each)
    return found


def meet(estate: Estate, each: Compiled) -> Iterator[Match]:
    """The versions that one advisory is about, by what it says of one package."""
    affected = each.affected
    for shelf in estate.shelves_of(affected.ecosystem, affected.release, affected.name):
        if len(each.intervals) == 1 and not each.exact and not each.incomparable and not shelf.odd:
            interval = each.intervals[0]
            for entry in shelf.between(interval.low, interval.high, with_high=interval.with_high):
                yield Match(each.advisory, affected, entry, interval.fixed)
        else:
            yield from _meet_at_length(shelf, each)


def _meet_at_length(shelf: Shelf, each: Compiled) -> Iterator[Match]:
    """As `meet`, where ranges may overlap, versions are named, or something cannot be compared."""
    met: dict[int, Match] = {}
    for interval in each.intervals:
        for entry in shelf.between(interval.low, interval.high, with_high=interval.with_high):
            known = met.get(id(entry))
            if known is None or (not known.fixed and interval.fixed):
                met[id(entry)] = Match(each.advisory, each.affected, entry, interval.fixed)
    for key in each.exact:
        for entry in shelf.between(key, key, with_high=True):
            met.setdefault(id(entry), Match(each.advisory, each.affected, entry, _above(each, key)))
    if each.incomparable:
        for entry in shelf.entries:
            met.setdefault(id(entry), Match(each.advisory, each.affected, entry, "", sure=False))
    for entry in shelf.odd:
        named = entry.version in each.affected.versions
        if named or each.intervals or each.incomparable:
            met[id(entry)] = Match(each.advisory, each.affected, entry, "", sure=named)
    yield from met.values()


def _above(each: Compiled, key: Any) -> str:
    """The lowest version that mends one which is named and in no range."""
    above = [interval for interval in each.intervals if interval.fixed and interval.high > key]
    return min(above, key=lambda interval: interval.high).fixed if above else ""


def exposures(matches: Iterable[Match]) -> Iterator[Exposure]:
    """What matches mean, image by image."""
    for each in matches:
        verdict, why = _verdict(each)
        if verdict is None:
            continue
        since = each.affected.fix_since if each.fixed else None
        for place in each.entry.places:
            certain = verdict is not Verdict.UNKNOWN and place.component.declared
            yield Exposure(
                each.advisory,
                place.image,
                place.component,
                Verdict.UNKNOWN if certain else verdict,
                "a lock file names it, and it need not be there" if certain else why,
                source=each.entry.name if each.affected.ecosystem == "deb" else "",
                fixed=each.fixed if verdict is not Verdict.AFFECTED_WITHOUT_FIX else "",
                since=since or each.advisory.published,
            )


def _verdict(each: Match) -> tuple[Verdict | None, str]:
    """What a match means, and why; None for one that is none of this image's business."""
    entry = each.entry
    name = f"{entry.name} {entry.version}"
    if not each.sure:
        return Verdict.UNKNOWN, f"{name} cannot be compared with the versions of the advisory"
    if entry.how == "artifact":
        return Verdict.UNKNOWN, f"{name} may be another group's: its Maven group is not known"
    if entry.how == "built using":
        if each.advisory.pending:
            return None, ""  # What is pending of the source is not an upgrade of what was built with it.
        return Verdict.AFFECTED_WITHOUT_FIX, f"it was built with {name}, and is mended when it is built anew"
    signed = f"the signed form of {name}, " if entry.how == "signed" else ""
    if each.fixed:
        return Verdict.AFFECTED_WITH_FIX, f"{signed or name + ' '}is below {each.fixed}"
    return Verdict.AFFECTED_WITHOUT_FIX, f"{signed or name + ' '}has no fix"


def unknown(estate: Estate, covered: dict[str, str], images: Iterable[Digest]) -> Iterator[Unknown]:
    """What nothing can be told of. `covered` has the realms that feeds cover, with what is wrong with these, or ""."""
    for image in images:
        for where, count in sorted(estate.counts.get(image, {}).items()):
            why = _coverage(where, covered)
            if why:
                yield Unknown(image, where, count, why)
        if files := estate.unidentified.get(image, 0):
            yield Unknown(image, "", files, "it could not be told what these files are")


def _coverage(where: str, covered: dict[str, str]) -> str:
    """Why a realm cannot be told of; "" if it can."""
    ecosystem = where.partition(":")[0]
    said = [covered[each] for each in (where, f"{ecosystem}:*") if each in covered]
    if not said:
        return f"no feed covers {where}"
    return "; ".join(filter(None, said))
