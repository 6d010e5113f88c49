"""What images hold, in the order of versions: made once, then asked again and again. Pure.

Each name of each realm has a shelf: the versions of it that any image holds, by their keys, ascending. An advisory is
about intervals of versions, so what it meets is a slice of a shelf: two searches, however many images there are. The
work is per advisory and per distinct version; images come in only with what was met.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from msgspec import Struct

from bluestone.model.bom import Bom, Component, Ecosystem
from bluestone.model.exposure import realm
from bluestone.model.ids import Digest
from bluestone.patch.inventory.query import folded
from bluestone.patch.releases import codename
from bluestone.patch.sources import origins
from bluestone.patch.versions import KEYS


class Place(NamedTuple):
    """A component in an image."""

    image: Digest
    component: Component


@dataclass
class Entry:
    """One version of a name, and where it is. `how` it is there: as in `patch.sources.Origin`, or `name`, or `artifact`
    where a Maven artifact's group is not known."""

    name: str
    version: str
    how: str
    places: list[Place] = field(default_factory=list)


@dataclass
class Shelf:
    """The versions of one name: those that have a key in its order, then the odd ones, which have none."""

    keys: list[Any]
    entries: list[Entry]

    def between(self, low: Any, high: Any, with_high: bool) -> tuple[int, int]:
        """Where the entries from the key `low` to `high` begin and end; None is the end on that side."""
        begin = 0 if low is None else bisect_left(self.keys, low)
        end = len(self.keys) if high is None else (bisect_right if with_high else bisect_left)(self.keys, high)
        return begin, end

    @cached_property
    def odd(self) -> range:
        """Where the versions are that have no place in the ecosystem's order."""
        return range(len(self.keys), len(self.entries))


class Estate(Struct, frozen=True, dict=True):
    """All that images hold: shelves by realm and folded name; components by image and realm, counted."""

    shelves: Mapping[tuple[str, str], Shelf]
    counts: Mapping[Digest, Mapping[str, int]]
    unidentified: Mapping[Digest, int]

    def shelves_of(self, ecosystem: Ecosystem, release: str, name: str) -> list[Shelf]:
        """Those that an advisory about a folded name has to look at. Debian's `release` is "" for all."""
        if ecosystem == "deb":
            realms = [realm("deb", release)] if release else [r for r in self.realms if r.startswith("deb:")]
            keys = [(each, name) for each in realms]
        elif ecosystem == "maven":
            keys = [("maven", each) for each in sorted({name, artifact(name)})]
        else:
            keys = [(ecosystem, name)]
        return [shelf for key in keys if (shelf := self.shelves.get(key))]

    @cached_property
    def names(self) -> set[str]:
        """The folded names of all that images have, of whatever ecosystem."""
        return {name for _, name in self.shelves}

    @cached_property
    def realms(self) -> set[str]:
        """All that images have components of."""
        return {each for counts in self.counts.values() for each in counts}


def artifact(name: str) -> str:
    """A Maven artifact's name without its group."""
    return name.rpartition(":")[2]


def furnish(boms: Iterable[Bom]) -> Estate:
    """The estate of these bills.

    What a package of Debian owns is that package's, and is not counted again by a language's name: its fixes are
    backported under versions that the language's advisories do not know.
    """
    drafts: dict[tuple[str, str], dict[tuple[str, str], Entry]] = defaultdict(dict)
    known: dict[tuple[object, ...], list[Entry]] = {}
    counts: dict[Digest, dict[str, int]] = {}
    unidentified: dict[Digest, int] = {}
    for bom in boms:
        release = codename(bom.distribution, bom.release)
        counted: dict[str, int] = defaultdict(int)
        unidentified[bom.image] = sum(not each.owner for each in bom.unidentified)
        there = {(c.ecosystem, c.name, c.version) for c in bom.components if not c.declared}
        for component in bom.components:
            if component.owner and component.ecosystem != "deb":
                continue
            if component.declared and (component.ecosystem, component.name, component.version) in there:
                continue
            counted[realm(component.ecosystem, release)] += 1
            c = component
            alike = (release, c.ecosystem, c.name, c.version, c.source, c.source_version, c.built_using)
            entries = known.get(alike)
            if entries is None:
                entries = known[alike] = list(_entries(drafts, release, component))
            place = Place(bom.image, component)
            for entry in entries:
                entry.places.append(place)
        counts[bom.image] = dict(counted)
    shelves = {key: _shelf(key[0], draft.values()) for key, draft in drafts.items()}
    return Estate(shelves, counts, {image: count for image, count in unidentified.items() if count})


def _entries(
    drafts: dict[tuple[str, str], dict[tuple[str, str], Entry]], release: str, component: Component
) -> Iterator[Entry]:
    where = realm(component.ecosystem, release)
    found = [(each.name, each.version, str(each.how)) for each in origins(component)]
    if component.ecosystem != "deb":
        how = "artifact" if component.ecosystem == "maven" and ":" not in component.name else "name"
        found = [(component.name, component.version, how)]
    for name, version, how in found:
        draft = drafts[where, folded(component.ecosystem, name)]
        yield draft.setdefault((version, how), Entry(name, version, how))


def _shelf(where: str, entries: Iterable[Entry]) -> Shelf:
    key = KEYS[where.partition(":")[0]]  # type: ignore[index]  # a realm begins with its ecosystem
    keyed, odd = [], []
    for entry in entries:
        try:
            keyed.append((key(entry.version), entry))
        except ValueError:
            odd.append(entry)
    keyed.sort(key=lambda pair: pair[0])
    return Shelf([each for each, _ in keyed], [*(entry for _, entry in keyed), *odd])
