"""Every hour of every server and of what is stored, what it was for, and what it cost: exact until shown. Pure.

A server's existence is cut where its cause changes, where another price begins to hold, and at the ends of what is
asked for. Each piece is priced exactly, as a fraction; only what is shown is rounded, to the cent, half to even.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil

from msgspec import Struct

from bluestone.hours.prices import price_at, storage_price_at
from bluestone.model.cost import Cause, Kept, Line, Price, PriceList, Stay, StoragePrice

CENT = Decimal("0.01")
HOUR = timedelta(hours=1)
MONTH = 730
"""Hours for which storage costs its monthly price: a year's twelfth, as clouds count it."""
GIB = 1 << 30


class Ledger(Struct, frozen=True):
    """The lines of a stretch of time. `unpriced` names the servers and volumes for which there is no price."""

    begin: datetime
    end: datetime
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...] = ()

    @property
    def total(self) -> Fraction:
        """All of it, exact."""
        return sum((line.amount for line in self.lines), Fraction(0))

    def by(self, key: Callable[[Line], str]) -> dict[str, tuple[Fraction, Fraction]]:
        """Server-hours and amounts, by whatever is asked for."""
        found: dict[str, tuple[Fraction, Fraction]] = {}
        for line in self.lines:
            hours, amount = found.get(key(line), (Fraction(0), Fraction(0)))
            served = hours_of(line.end - line.begin) if line.stored is None else 0
            found[key(line)] = (hours + served, amount + line.amount)
        return found


def ledger(
    stays: Iterable[Stay], prices: PriceList, begin: datetime, end: datetime, kept: Iterable[Kept] = ()
) -> Ledger:
    """What servers and storage cost from `begin` until before `end`; what still exists is counted until `end`."""
    lines: list[Line] = []
    unpriced = []
    for stay in stays:
        if stay.began >= end or (stay.ended is not None and stay.ended <= begin):
            continue
        found = list(_lines(stay, prices.prices, begin, end))
        if not found:
            unpriced.append(stay.server)
        lines += found
    priced = {(price.provider, price.kind) for price in prices.storage}
    for each in kept:
        if each.began < end and (each.ended is None or each.ended > begin) and (each.provider, each.kind) in priced:
            found = list(_storage_lines(each, prices.storage, begin, end))
            unpriced += [] if found or each.name in unpriced else [each.name]
            lines += found
    return Ledger(begin, end, tuple(lines), tuple(unpriced))


def hours_of(span: timedelta) -> Fraction:
    """A length in hours, exact."""
    return Fraction(span // timedelta(microseconds=1), HOUR // timedelta(microseconds=1))


def amount(hour: Decimal, span: timedelta) -> Fraction:
    """What a length of time costs at a price, exact."""
    return Fraction(hour) * hours_of(span)


def storage_amount(gib_month: Decimal, stored: int, span: timedelta) -> Fraction:
    """What so many bytes cost for a length of time, exact."""
    return Fraction(gib_month) * Fraction(stored, GIB) * hours_of(span) / MONTH


def cents(exact: Fraction) -> Decimal:
    """An amount to the cent, half to even: the cent that a person is shown."""
    hundredfold = exact * 100
    whole, rest = divmod(hundredfold.numerator, hundredfold.denominator)
    twice = 2 * rest
    up = twice > hundredfold.denominator or (twice == hundredfold.denominator and whole % 2 == 1)
    return (Decimal(whole + up) * CENT).quantize(CENT, rounding=ROUND_HALF_EVEN)


def _lines(stay: Stay, prices: Sequence[Price], begin: datetime, end: datetime) -> Iterator[Line]:
    stop = stay.ended or end
    last: Price | None = None
    edges = sorted({*_edges(stay, stop), *_repriced(prices, stay, stop)})
    pieces = [(since, until) for since, until in pairwise(edges) if since < until]
    for number, (since, until) in enumerate(pieces):
        price = price_at(prices, stay.provider, stay.cpus, stay.memory, since)
        last = price or last
        if price is None:
            continue
        # What a provider counts beyond the last second belongs to the last piece.
        billed = until + (_rounding(stay, price, stop) if number == len(pieces) - 1 and stay.ended else timedelta(0))
        first, final = max(since, begin), min(billed, end)
        if first < final:
            cause = _cause(stay, since)
            cost = amount(price.hour, final - first)
            yield Line(stay.server, stay.group, stay.image, cause, first, final, price.hour, price.since, cost)


def _storage_lines(kept: Kept, prices: Sequence[StoragePrice], begin: datetime, end: datetime) -> Iterator[Line]:
    stop = min(kept.ended or end, end)
    dates = (
        datetime.combine(p.since, time(), UTC) for p in prices if (p.provider, p.kind) == (kept.provider, kept.kind)
    )
    first = max(kept.began, begin)
    for since, until in pairwise(sorted({first, stop, *(edge for edge in dates if first < edge < stop)})):
        price = storage_price_at(prices, kept.provider, kept.kind, since)
        stored = bytes_of(kept, price) if price else None
        if price is not None and stored is not None and since < until:
            cost = storage_amount(price.gib_month, stored, until - since)
            yield Line(kept.name, kept.group, "", kept.kind, since, until, price.gib_month, price.since, cost, stored)


def bytes_of(kept: Kept, price: StoragePrice) -> int | None:
    """How many bytes are paid for: those that a snapshot takes, the size of a volume, or what one without counts as."""
    if kept.kind == "snapshot" and kept.stored is not None:
        return kept.stored
    return kept.size if kept.size is not None else price.unsized


def _rounding(stay: Stay, price: Price, stop: datetime) -> timedelta:
    lasted = stop - stay.began
    steps = ceil(lasted / timedelta(seconds=price.step))
    return max(timedelta(seconds=steps * price.step), timedelta(seconds=price.least)) - lasted


def _edges(stay: Stay, stop: datetime) -> Iterator[datetime]:
    yield stay.began
    yield stop
    for edge in (stay.attached, stay.detached, stay.opening):
        if edge is not None and stay.began < edge < stop:
            yield edge


def _repriced(prices: Sequence[Price], stay: Stay, stop: datetime) -> Iterator[datetime]:
    for price in prices:
        edge = datetime.combine(price.since, time(), UTC)
        if price.provider == stay.provider and stay.began < edge < stop:
            yield edge


def _cause(stay: Stay, since: datetime) -> Cause:
    """What a piece that begins at `since` was for."""
    if stay.attached is None and stay.ended is not None:
        return "failed"
    if stay.opening is not None and since < stay.opening:
        return "lead"
    if stay.attached is None or since < stay.attached or (stay.detached is not None and since >= stay.detached):
        return "overlap"
    return "served"
