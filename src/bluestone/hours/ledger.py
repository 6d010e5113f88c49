"""Every hour of every server, what it was for, and what it cost: exact until it is shown. Pure.

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
from msgspec.structs import replace

from bluestone.hours.prices import price_at
from bluestone.model.cost import Cause, Line, Price, PriceList, Stay

CENT = Decimal("0.01")
HOUR = timedelta(hours=1)


class Ledger(Struct, frozen=True):
    """The lines of a stretch of time. `unpriced` names the servers for which there is no price."""

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
            found[key(line)] = (hours + hours_of(line.end - line.begin), amount + line.amount)
        return found


def ledger(stays: Iterable[Stay], prices: PriceList, begin: datetime, end: datetime) -> Ledger:
    """What servers cost from `begin` until before `end`; those that still exist are counted until `end`."""
    lines: list[Line] = []
    unpriced = []
    for stay in stays:
        if stay.began >= end or (stay.ended is not None and stay.ended <= begin):
            continue
        found = list(_lines(stay, prices.prices, begin, end))
        if not found:
            unpriced.append(stay.server)
        lines += found
    return Ledger(begin, end, tuple(lines), tuple(unpriced))


def hours_of(span: timedelta) -> Fraction:
    """A length in hours, exact."""
    return Fraction(span // timedelta(microseconds=1), HOUR // timedelta(microseconds=1))


def amount(hour: Decimal, span: timedelta) -> Fraction:
    """What a length of time costs at a price, exact."""
    return Fraction(hour) * hours_of(span)


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
            line = Line(stay.server, stay.group, stay.image, cause, first, final, price.hour, price.since, Fraction(0))
            yield replace(line, amount=amount(price.hour, final - first))


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
