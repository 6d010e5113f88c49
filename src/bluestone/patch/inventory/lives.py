"""Which servers ran which images, and when, by the index."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import msgspec

from bluestone.model.ids import Digest
from bluestone.model.lifetime import Lifetime
from bluestone.patch.inventory.answer import When
from bluestone.patch.inventory.index import EPOCH, FOREVER, MICROSECOND, OF_PROJECT, Index


def images(index: Index) -> dict[int, Digest]:
    """The images by their numbers in the index."""
    rows: Any = index.rows("SELECT id, digest FROM image")
    return dict(rows)


def images_in_question(index: Index, when: When) -> dict[Digest, bool]:
    """The images of the servers that are asked about, and whether a bill of each was read."""
    condition, values = _lived(when)
    rows: Any = index.rows(
        "SELECT digest, stamp FROM image WHERE EXISTS"  # noqa: S608 - our own words
        f" (SELECT 1 FROM lifetime WHERE image = image.id AND {condition})",
        values,
    )
    return {Digest(digest): stamp != "" for digest, stamp in rows}


def lives(index: Index, wanted: Collection[Digest], when: When, project: str = "") -> list[Lifetime]:
    """The servers (of one project, if it is given) that ran these images, by project, group and begin."""
    condition, values = _lived(when)
    if project:
        condition, values = f"{condition} AND {OF_PROJECT}", [*values, project]
    numbers = {number: digest for number, digest in images(index).items() if digest in wanted}
    servers, groups, begins, ends, ran = index.columns(
        ("server", "grp", "began", "ended", "image"),
        f"FROM lifetime WHERE image IN (SELECT value FROM json_each(?)) AND {condition}",  # noqa: S608 - our own words
        [msgspec.json.encode(list(numbers)).decode(), *values],
    )
    rows: Any = index.rows("SELECT id, project, name FROM grp ORDER BY project, name")
    owner, name = {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}
    # By position, in the order of `Lifetime`, and by `map`: a loop would take several times as long.
    where = [owner[group] for group in groups], servers, [name[group] for group in groups]
    found = list(map(Lifetime, *where, [numbers[image] for image in ran], _moments(begins), _ends(ends)))
    # One key after the other, the last first: a sort is stable, and comparing tuples takes several times as long.
    order = sorted(range(len(begins)), key=begins.__getitem__)
    if len(set(groups)) > 1:
        rank = {number: place for place, (number, _, _) in enumerate(rows)}
        ranks = [rank[group] for group in groups]
        order.sort(key=ranks.__getitem__)
    return [found[place] for place in order]


def running(index: Index, project: str) -> list[Lifetime]:
    """The servers of a project that exist, by group and name."""
    found = lives(index, set(images(index).values()), "now", project)
    return sorted(found, key=lambda life: (life.group, life.server))


def lived_on(index: Index, project: str, wanted: Iterable[Digest], since: datetime) -> tuple[Lifetime, ...]:
    """The servers of a project that ran these images at some time from `since` on, by group and begin."""
    found = lives(index, set(wanted), "ever", project)
    return tuple(life for life in found if life.ended is None or life.ended >= since)


def _lived(when: When) -> tuple[str, list[int | str]]:
    """The condition on a lifetime, and its values."""
    if isinstance(when, datetime):
        at = (when - EPOCH) // MICROSECOND
        return "ended > ? AND began <= ?", [at, at]
    return ("ended = ?", [FOREVER]) if when == "now" else ("1", [])


def _moments(microseconds: list[int]) -> list[datetime]:
    """In UTC; exact until the year 2242, when seconds no longer have their microseconds in a fraction of 53 bits."""
    return msgspec.convert([each / 1_000_000 for each in microseconds], list[datetime], strict=False)


def _ends(microseconds: list[int]) -> list[datetime | None]:
    moments = iter(_moments([each for each in microseconds if each != FOREVER]))
    return [None if each == FOREVER else next(moments) for each in microseconds]
