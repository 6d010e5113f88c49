"""Looking through log lines a page at a time: pages that go on, one line by its name, what is around it, its fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app.logs.logs import INSTANT, Asked, Reading, reading
from bluestone.app.project import Project
from bluestone.logs.query.asked import EPOCH, Query, micros
from bluestone.model.problem import Problem
from bluestone.model.record import Record

MOST_AROUND = 500
"""Lines before, and after, one."""

SAMPLE = 500
"""Of how many lines, the newest, the fields are shown."""

OF_ALL = ("severity", "group", "server", "unit", "generation", "image")
"""Fields that every line has."""

SHOWN_OTHERWISE = frozenset({"MESSAGE", "PRIORITY", *OF_ALL})
"""Fields of a line that are shown under other names, or as the line itself."""


class Mark(Struct, frozen=True):
    """The place in the order of time where a page of lines ends: `shown` lines of that very instant are before it."""

    at: datetime
    shown: int

    def __str__(self) -> str:
        return f"{micros(self.at)}.{self.shown}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """What `str` wrote. Raises `Problem`."""
        if not re.fullmatch(r"\d{1,17}\.\d{1,6}", text):
            raise Problem(f'"{text[:80]}" is not where a page ends', mend="begin with the newest lines")
        at, shown = text.split(".")
        return cls(EPOCH + timedelta(microseconds=int(at)), int(shown))


class Page(Struct, frozen=True):
    """Lines, the newest first; `older` is where the next page begins, None if there are no more."""

    lines: tuple[Record, ...]
    older: Mark | None


class Field(Struct, frozen=True):
    """A field, and how many of the newest lines have it."""

    name: str
    lines: int


class Overview(Struct, frozen=True):
    """What the lines have: fields, of the newest `sample` lines."""

    fields: tuple[Field, ...]
    sample: int


def page(found: Reading, size: int, before: Mark | None = None) -> Page:
    """The newest lines that are found, or those before a mark. Lines of one instant are told apart by their order."""
    query = found.query
    skipped = 0
    if before is not None:
        until = before.at + INSTANT
        if query.until is None or until <= query.until:
            query, skipped = replace(query, until=until), before.shown
    lines = [*found.search(replace(query, limit=size + skipped + 1))][::-1]
    shown = lines[skipped : skipped + size]
    if len(lines) <= skipped + size:
        return Page(tuple(shown), None)
    last = shown[-1].at
    again = skipped if before is not None and last == before.at else 0
    return Page(tuple(shown), Mark(last, again + sum(line.at == last for line in shown)))


def overview(found: Reading) -> Overview:
    """The fields of the newest lines, the most frequent first; those of the journal itself (`_PID`) last."""
    from bluestone.logs.ingest.fields import fields_of

    counted: Counter[str] = Counter()
    sample = 0
    for record in found.search(replace(found.query, limit=SAMPLE)):
        sample += 1
        counted.update(fields_of(record.original).keys())
    order = sorted(counted.items(), key=lambda item: (item[0].startswith("_"), -item[1], item[0]))
    own = tuple(Field(name, lines) for name, lines in order if name not in SHOWN_OTHERWISE)
    return Overview((*(Field(name, sample) for name in OF_ALL), *own), sample)


def name_of(record: Record) -> str:
    """A line's name: when, of whom, and a digest of what came. It stays, wherever the store keeps the line."""
    digest = blake2b(record.original, digest_size=8).hexdigest()
    return f"{micros(record.at)}.{record.identity.server}.{digest}"


def line(project: Project, name: str, around: int = 0) -> tuple[Record, tuple[Record, ...], tuple[Record, ...]]:
    """A line by its name, with as many lines of its server before and after it. Raises `Problem` if it is not there."""
    parts = re.fullmatch(r"(\d{1,17})\.([a-z0-9._-]{1,200})\.([0-9a-f]{16})", name)
    if not parts:
        raise Problem(f'"{name[:200]}" is no name of a line', mend="take the link of a line")
    at, server = EPOCH + timedelta(microseconds=int(parts[1])), parts[2]
    around = min(around, MOST_AROUND)
    with reading(project, Asked()) as found:
        same = found.search(Query(server=server, since=at, until=at + INSTANT))
        record = next((each for each in same if name_of(each) == name), None)
        if record is None:
            raise Problem(
                "this line is not in the store",
                mend="it was removed by the rules for how long lines are kept, or is of another project",
            )
        if not around:
            return record, (), ()
        near = _distinct(found.around(record, around))
    place = next(number for number, each in enumerate(near) if name_of(each) == name)
    return record, tuple(near[max(0, place - around) : place]), tuple(near[place + 1 : place + 1 + around])


def every(project: Project, asked: Asked, most: int) -> Iterator[Record]:
    """The lines that are found, the oldest first, no more than `most`. Raises `Problem`."""
    with reading(project, replace(asked, limit=None)) as found:
        yield from islice(found.lines(), most)


def _distinct(records: Iterator[Record]) -> Sequence[Record]:
    """In the order of time, each once: what comes before and what comes after overlap."""
    found: dict[tuple[datetime, str], Record] = {}
    for record in records:
        found.setdefault((record.at, record.cursor), record)
    return sorted(found.values(), key=lambda each: each.at)
