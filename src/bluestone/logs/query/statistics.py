"""Counts instead of lines: over time, and by the values of a field. Exact, whatever the number of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
from msgspec import Struct

from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import EPOCH, Query, micros
from bluestone.logs.query.conditions import Range
from bluestone.logs.query.entry import OF_IDENTITY, Entry
from bluestone.logs.query.nodes import And, Leaf, Node
from bluestone.logs.query.pick import Picked, pick
from bluestone.logs.query.read import by_blocks, found_in_block
from bluestone.logs.query.scan import in_log
from bluestone.logs.store.columns import Numbers
from bluestone.logs.store.parts import Damaged
from bluestone.logs.store.segment import MINUTE, Segment

STEPS = tuple(
    int(timedelta(**{unit: amount}) / timedelta(microseconds=1))
    for unit, amounts in (
        ("seconds", (1, 5, 15, 30)),
        ("minutes", (1, 5, 15, 30)),
        ("hours", (1, 3, 6, 12)),
        ("days", (1, 7, 30, 365)),
    )
    for amount in amounts
)
"""Widths of a histogram's bars, in microseconds."""

BARS = 60
WIDEST = 1 << 20
"""Steps between the first and the last time of a segment up to which there is a place for each."""


class Bar(Struct, frozen=True):
    """How many lines were written from a moment on, for as long as the histogram's step; `errors` of severity 0-3."""

    at: datetime
    lines: int
    errors: int


class Histogram(Struct, frozen=True):
    """Lines over time. `step` is the width of each bar."""

    step: timedelta
    bars: tuple[Bar, ...]


class Top(Struct, frozen=True):
    """The most frequent values of a field and their lines; `lines` have the field, in `distinct` values."""

    values: tuple[tuple[str, int], ...]
    distinct: int
    lines: int


def histogram(archive: Archive, query: Query, step: timedelta | None = None) -> Histogram:
    """The lines that a query finds, over time; without a step one that gives at most `BARS` bars. Raises `Problem`."""
    node = query.node
    # Counted in fine steps first: how far they reach is known only when all are.
    counted: Counter[tuple[int, bool]] = Counter()
    asked = None if step is None else int(step / timedelta(microseconds=1))
    fine = asked or MINUTE
    for times, errors in _counts(archive, query, node, fine):
        for at, lines in times.items():
            counted[at, errors] += lines
    return _drawn(counted, asked, fine)


def redrawn(histograms: Sequence[Histogram], step: timedelta | None) -> Histogram:
    """Histograms of the same step as one, with bars of that step; or else, if they are of minutes, of a good one."""
    counted: Counter[tuple[int, bool]] = Counter()
    for bar in (bar for each in histograms for bar in each.bars):
        counted[micros(bar.at), False] += bar.lines - bar.errors
        counted[micros(bar.at), True] += bar.errors
    return _drawn(counted, None if step is None else int(step / timedelta(microseconds=1)), MINUTE)


def _drawn(counted: Mapping[tuple[int, bool], int], asked: int | None, fine: int) -> Histogram:
    """Counts, by time and whether of errors, as bars of the width that was asked for or a good one."""
    if not counted:
        return Histogram(timedelta(microseconds=asked or fine), ())
    first, last = min(at for at, _ in counted), max(at for at, _ in counted)
    width = asked or next((each for each in STEPS if each >= MINUTE and (last - first) // each < BARS), STEPS[-1])
    bars: dict[int, list[int]] = {}
    for (at, errors), lines in counted.items():
        bar = bars.setdefault(at // width * width, [0, 0])
        bar[0] += lines
        bar[1] += lines if errors else 0
    return Histogram(
        timedelta(microseconds=width),
        tuple(Bar(EPOCH + timedelta(microseconds=at), *bars[at]) for at in sorted(bars)),
    )


def top(archive: Archive, query: Query, field: str, count: int = 10) -> Top:
    """The values that most of the found lines have. Raises `Problem`."""
    node = query.node
    found: Counter[str] = Counter()
    for values in _values(archive, query, node, field):
        found.update(values)
    return most(found, count)


def most(found: Counter[str], count: int) -> Top:
    """The most frequent of counted values."""
    order = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return Top(tuple(order[:count]), len(found), found.total())


def count(archive: Archive, query: Query) -> int:
    """How many lines a query finds. Raises `Problem`."""
    return sum(bar.lines for bar in histogram(archive, query, timedelta(days=365)).bars)


def _counts(archive: Archive, query: Query, node: Node, step: int) -> Iterator[tuple[Counter[int], bool]]:
    """Lines by the beginnings of their steps, in microseconds since 1970, and whether they are errors."""
    now = archive.view()
    try:
        for file, segment in now.segments.items():
            try:
                yield from list(_counts_in(segment, query, node, step))
            except Damaged:
                archive.damaged.append(file)
        times: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        for log in now.logs:
            for _, entry in in_log(archive.identity, log, query, node):
                times[entry.severity <= 3][entry.at // step * step] += 1
        yield times[0], False
        yield times[1], True
    finally:
        now.close()


def _counts_in(segment: Segment, query: Query, node: Node, step: int) -> Iterator[tuple[Counter[int], bool]]:
    if _outside(segment, query):
        return
    servers = _servers(segment, node)
    if servers is not None and step % MINUTE == 0 and _inside(segment, query):
        minutes = segment.minutes if len(servers) == len(segment.footer.spans) else segment.minutes_of(servers)
        for errors in (False, True):
            mask = (minutes.severity <= 3) == errors
            yield _summed(minutes.minute[mask] * MINUTE, minutes.lines[mask], step), errors
        return
    picked = pick(node, segment, query.begin, query.end)
    if not picked.exact:
        times: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        for _, entry in _read(segment, picked, node):
            times[entry.severity <= 3][entry.at // step * step] += 1
        yield from ((times[0], False), (times[1], True))
        return
    severe = pick(Leaf("severity", _SEVERE), segment).lines
    for errors, mask in ((False, picked.lines & ~severe), (True, picked.lines & severe)):
        at = segment.at_of(np.flatnonzero(mask))
        yield _summed(at, np.ones(len(at), np.int64), step), errors


def _values(archive: Archive, query: Query, node: Node, field: str) -> Iterator[dict[str, int]]:
    now = archive.view()
    try:
        for file, segment in now.segments.items():
            try:
                yield _values_in(segment, query, node, field)
            except Damaged:
                archive.damaged.append(file)
        for log in now.logs:
            yield _tally((entry for _, entry in in_log(archive.identity, log, query, node)), field)
    finally:
        now.close()


def _values_in(segment: Segment, query: Query, node: Node, field: str) -> dict[str, int]:
    if _outside(segment, query):
        return {}
    if field in OF_IDENTITY:
        return _by_identity(segment, query, node, field)
    if node == And() and _inside(segment, query) and (counted := segment.counts(field)) is not None:
        return counted
    if not segment.has(field) and field != "message":
        return {}
    picked = pick(node, segment, query.begin, query.end)
    if picked.exact and not picked.lines.any():
        return {}
    column = segment.column(field)
    if picked.exact and column is not None:
        return column.counts(picked.lines)
    return _tally((entry for _, entry in _read(segment, picked, node)), field)


def _by_identity(segment: Segment, query: Query, node: Node, field: str) -> dict[str, int]:
    picked = pick(node, segment, query.begin, query.end)
    mask = picked.lines
    if not picked.exact:
        mask = np.zeros(segment.lines, bool)
        mask[[line for line, _ in _read(segment, picked, node)]] = True
    found: Counter[str] = Counter()
    for place, span in enumerate(segment.footer.spans):
        lines = int(np.count_nonzero(mask[span.first : span.first + span.lines]))
        if lines:
            found[str(getattr(segment.identity(place), field))] += lines
    return found


def _tally(entries: Iterable[Entry], field: str) -> dict[str, int]:
    return Counter(value for entry in entries if (value := entry.value(field)) is not None)


def _read(segment: Segment, picked: Picked, node: Node) -> Iterator[tuple[int, Entry]]:
    """The picked lines that a query really finds."""
    blocks, pieces = by_blocks(segment, np.flatnonzero(picked.lines))
    for number, lines in zip(blocks.tolist(), pieces, strict=True):
        yield from found_in_block(segment, number, lines, node, exact=picked.exact)


def _servers(segment: Segment, node: Node) -> list[int] | None:
    """The servers whose lines a query finds, each of them; None if it asks for more than who wrote a line."""
    if node == And():
        return [span.server for span in segment.footer.spans]
    parts = node.parts if isinstance(node, And) else (node,)
    if not all(isinstance(part, Leaf) and part.field in OF_IDENTITY for part in parts):
        return None
    lines = pick(node, segment).lines
    return [span.server for span in segment.footer.spans if lines[span.first]]


def _summed(times: Numbers, lines: Numbers, step: int) -> Counter[int]:
    """How many lines there are by the beginnings of their steps."""
    if not len(times):
        return Counter()
    steps = times // step
    first = int(steps.min())
    if int(steps.max()) - first < WIDEST:
        sums = np.bincount(steps - first, weights=lines)
        found = np.flatnonzero(sums)
        return Counter(dict(zip(((found + first) * step).tolist(), sums[found].astype(np.int64).tolist(), strict=True)))
    unique, places = np.unique(steps, return_inverse=True)
    return Counter(dict(zip((unique * step).tolist(), np.bincount(places, lines).astype(int).tolist(), strict=True)))


def _inside(segment: Segment, query: Query) -> bool:
    """Whether all of a segment's times are asked for."""
    begin, end = query.begin, query.end
    return (begin is None or begin <= segment.footer.oldest) and (end is None or segment.footer.newest < end)


def _outside(segment: Segment, query: Query) -> bool:
    begin, end = query.begin, query.end
    return (begin is not None and segment.footer.newest < begin) or (end is not None and segment.footer.oldest >= end)


_SEVERE = Range(None, "3")
