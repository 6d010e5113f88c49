"""Advisories x what images hold -> exposures, each with its verdict. Pure.

An advisory is *met* by the versions it is about; what follows from that is the *verdict*. What cannot be decided is
unknown, never clean.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Set
from typing import Any, NamedTuple

from msgspec import Struct

from bluestone.model.advisory import Advisory, Affected
from bluestone.model.bom import Ecosystem
from bluestone.model.exposure import Exposure, Unknown, Verdict
from bluestone.model.ids import Digest
from bluestone.patch.estate import Entry, Estate, Shelf, artifact
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
    one; `incomparable` says what hinders to compare with the rest. `is_simple`: it is one
    interval, and nothing else."""

    advisory: Advisory
    affected: Affected
    intervals: tuple[Interval, ...]
    exact: tuple[Any, ...]
    incomparable: str
    is_simple: bool


class Match(Struct, frozen=True, gc=False):
    """An advisory and the versions that it is about: those on a shelf from `begin` to `end`.

    `fixed` is "" where nothing mends it; `sure` is false where it could not be compared.
    """

    advisory: Advisory
    affected: Affected
    shelf: Shelf
    begin: int
    end: int
    fixed: str
    sure: bool = True

    @property
    def entries(self) -> list[Entry]:
        """These versions."""
        return self.shelf.entries[self.begin : self.end]


def compiled(advisory: Advisory, affected: Affected) -> Compiled:
    """What an advisory says of one package, with its versions as keys."""
    key = KEYS[affected.ecosystem]
    intervals, exact, odd = [], [], "" if affected.ranges else affected.undecided
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
    simple = len(intervals) == 1 and not exact and not odd and not affected.undecided
    return Compiled(advisory, affected, tuple(intervals), tuple(exact), odd, simple)


class Catalogue(Struct, frozen=True):
    """Advisories by the names that they are about, compiled."""

    by_name: dict[tuple[Ecosystem, str], list[Compiled]]

    @classmethod
    def of(cls, advisories: Iterable[Advisory], names: Set[str] | None = None) -> Catalogue:
        """A catalogue of these; with `names` (`Estate.names`), of what concerns these alone."""
        by_name: dict[tuple[Ecosystem, str], list[Compiled]] = {}
        for advisory in advisories:
            for affected in advisory.affected:
                key = (affected.ecosystem, folded(affected.ecosystem, affected.name))
                if names is None or key[1] in names or artifact(key[1]) in names:
                    by_name.setdefault(key, []).append(compiled(advisory, affected))
        return cls(by_name)


def match(estate: Estate, catalogue: Catalogue) -> list[Match]:
    """All versions in the estate that an advisory is about."""
    found: list[Match] = []
    held = estate.names
    for (ecosystem, name), about in catalogue.by_name.items():
        if name in held or (ecosystem == "maven" and artifact(name) in held):
            shelves: dict[str, list[Shelf]] = {}
            for each in about:
                release = each.affected.release
                if release not in shelves:
                    shelves[release] = estate.shelves_of(ecosystem, release, name)
                for shelf in shelves[release]:
                    if each.is_simple and not shelf.odd:
                        # What nearly all are, and so without a call.
                        low, high, with_high, fixed = each.intervals[0]
                        if low is None and not with_high and high is not None:
                            begin, end = 0, bisect_left(shelf.keys, high)
                        else:
                            begin, end = shelf.between(low, high, with_high)
                        if begin < end:
                            found.append(Match(each.advisory, each.affected, shelf, begin, end, fixed))
                    else:
                        found += _meet_at_length(shelf, each)
    return found


def meet(estate: Estate, advisory: Advisory) -> list[Match]:
    """The versions in the estate that one advisory is about."""
    return match(estate, Catalogue.of([advisory]))


def _meet_at_length(shelf: Shelf, each: Compiled) -> Iterator[Match]:
    """As in `match`, where ranges may overlap, versions are named, or something cannot be compared."""
    met: dict[int, tuple[str, bool]] = {}
    for interval in each.intervals:
        for at in range(*shelf.between(interval.low, interval.high, interval.with_high)):
            if at not in met or (not met[at][0] and interval.fixed):
                met[at] = interval.fixed, not each.affected.undecided
    for key in each.exact:
        for at in range(*shelf.between(key, key, True)):
            met.setdefault(at, (_above(each, key), True))
    for at in range(len(shelf.keys)) if each.incomparable else ():
        met.setdefault(at, ("", False))
    for at in shelf.odd:
        named = shelf.entries[at].version in each.affected.versions
        if named or each.intervals or each.incomparable:
            met[at] = "", named
    for at, (fixed, sure) in met.items():
        yield Match(each.advisory, each.affected, shelf, at, at + 1, fixed, sure)


def _above(each: Compiled, key: Any) -> str:
    """The lowest version that mends one which is named and in no range."""
    above = [interval for interval in each.intervals if interval.fixed and interval.high > key]
    return min(above, key=lambda interval: interval.high).fixed if above else ""


def exposures(matches: Iterable[Match]) -> Iterator[Exposure]:
    """What matches mean, image by image."""
    for each in matches:
        for entry in each.entries:
            decided = _verdict(each, entry)
            if decided is None:
                continue
            verdict, why = decided
            for place in entry.places:
                doubted = verdict is not Verdict.UNKNOWN and place.component.declared
                yield Exposure(
                    each.advisory,
                    place.image,
                    place.component,
                    Verdict.UNKNOWN if doubted else verdict,
                    "a lock file names it, and it need not be there" if doubted else why,
                    source=entry.name if each.affected.ecosystem == "deb" else "",
                    fixed=each.fixed if verdict is not Verdict.AFFECTED_WITHOUT_FIX else "",
                    since=(each.affected.fix_since if each.fixed else None) or each.advisory.published,
                )


def _verdict(each: Match, entry: Entry) -> tuple[Verdict, str] | None:
    """What a match means for a version, and why; None where it means nothing."""
    name = f"{entry.name} {entry.version}"
    if not each.sure:
        return Verdict.UNKNOWN, each.affected.undecided or f"{name} cannot be compared with the advisory's versions"
    if entry.how == "artifact":
        return Verdict.UNKNOWN, f"{name} may be another group's: its Maven group is not known"
    if entry.how == "built using":
        if each.advisory.pending:
            return None  # What is pending of the source is not an upgrade of what was built with it.
        return Verdict.AFFECTED_WITHOUT_FIX, f"it was built with {name}, and is mended when it is built anew"
    if entry.how == "signed":
        name = f"{name}, of which this is the signed form,"
    if each.fixed:
        return Verdict.AFFECTED_WITH_FIX, f"{name} is below {each.fixed}"
    return Verdict.AFFECTED_WITHOUT_FIX, f"{name} has no fix"


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
