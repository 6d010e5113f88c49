"""From when to when the data of slots was kept as a volume, and when as a snapshot. Pure.

The journal tells when volumes were made, put away and destroyed. That a snapshot became a volume again is known from
the server that was given it: a snapshot is laid out before its server is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from bluestone.model.cost import Kept, Stay
from bluestone.model.event import Event
from bluestone.model.ids import slot_name

MADE, AWAY, DESTROYED = "volume.made", "volume.snapshot", "volume.destroyed"
"""A volume was made; a snapshot has taken its place; it is gone with its data."""

KINDS = (MADE, AWAY, DESTROYED)


class _Mark(Struct, frozen=True):
    """What happened to a volume. There: it exists as a volume from then on, if it did not before."""

    at: datetime
    volume: str
    way: Literal["there", "away", "gone"]
    group: str = ""
    provider: str = ""
    size: int | None = None
    stored: int | None = None


def kept(stays: Iterable[Stay], events: Iterable[Event]) -> list[Kept]:
    """Every stretch in which something was kept, by volume; `events` are those of `KINDS`, oldest first."""
    marks = sorted([*_of_servers(stays), *_told(events)], key=attrgetter("at"))
    marks.sort(key=attrgetter("volume"))
    return [each for _, found in groupby(marks, attrgetter("volume")) for each in _stretches(list(found))]


def _stretches(marks: Sequence[_Mark]) -> Iterator[Kept]:
    """What became of one volume, by its marks in their order."""
    now: Kept | None = None
    for mark in marks:
        if mark.way == "there" and (now is None or now.kind == "snapshot"):
            following = Kept(mark.volume, mark.group, "volume", mark.provider, mark.size, mark.at)
            if now is not None:
                yield replace(now, ended=mark.at)
                following = replace(following, provider=now.provider, size=now.size)
            now = following
        elif mark.way == "away" and now is not None and now.kind == "volume":
            yield replace(now, ended=mark.at)
            now = replace(now, kind="snapshot", began=mark.at, stored=mark.stored)
        elif mark.way == "gone" and now is not None:
            yield replace(now, ended=mark.at)
            now = None
    if now is not None:
        yield now


def _of_servers(stays: Iterable[Stay]) -> Iterator[_Mark]:
    for stay in stays:
        for spec in stay.volumes:
            name = f"{slot_name(stay.server)}.{spec.name}"
            yield _Mark(stay.began, name, "there", stay.group, stay.provider, spec.size)


def _told(events: Iterable[Event]) -> Iterator[_Mark]:
    for event in events:
        data = event.data
        if "volume" not in data:
            continue
        if event.kind == MADE:
            yield _Mark(event.at, data["volume"], "there", event.group, data["provider"], data["size"])
        elif event.kind == AWAY:
            at = datetime.fromisoformat(data["ended"]) if "ended" in data else event.at
            yield _Mark(at, data["volume"], "away", stored=data["bytes"])
        else:
            yield _Mark(event.at, data["volume"], "gone")
