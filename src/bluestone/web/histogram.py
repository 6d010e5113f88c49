"""A histogram as a picture: bars over all of the time that is looked at. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from bluestone.logs.query.asked import EPOCH
from bluestone.logs.query.statistics import STEPS, Bar, Histogram

WIDTH, HEIGHT = 1000, 100
MOST_BARS = 100


class Shape(Struct, frozen=True):
    """A bar: where it is, how high, how high its errors are, and what it stands for. In units of the picture."""

    x: float
    width: float
    height: float
    errors_height: float
    begin: datetime
    end: datetime
    lines: int
    errors: int


class Picture(Struct, frozen=True):
    """Bars from `begin` to `end`; `most` lines are as high as the picture; `total` lines are in all of them."""

    begin: datetime
    end: datetime
    step: timedelta
    bars: tuple[Shape, ...]
    most: int
    total: int
    errors: int

    @property
    def ticks(self) -> Sequence[datetime]:
        """Five moments, evenly apart."""
        return [self.begin + (self.end - self.begin) * part / 4 for part in range(5)]


def step_for(begin: datetime, end: datetime) -> timedelta:
    """The narrowest bars, of a usual width, that are not too many."""
    span = (end - begin) / timedelta(microseconds=1)
    width = next((step for step in STEPS if span / step <= MOST_BARS), STEPS[-1])
    return timedelta(microseconds=width)


def picture(counted: Histogram, begin: datetime | None, end: datetime) -> Picture | None:
    """The picture of a count from `begin` (or the first line) to `end`; None where nothing was found."""
    if not counted.bars:
        return None
    step = counted.step
    first = min(begin or counted.bars[0].at, counted.bars[0].at)
    begin = EPOCH + (first - EPOCH) // step * step
    end = max(EPOCH - (EPOCH - end) // step * step, counted.bars[-1].at + step)
    most = max(bar.lines for bar in counted.bars)
    span = end - begin
    return Picture(
        begin,
        end,
        step,
        tuple(_shape(bar, begin, span, step, most) for bar in counted.bars),
        most,
        sum(bar.lines for bar in counted.bars),
        sum(bar.errors for bar in counted.bars),
    )


def _shape(bar: Bar, begin: datetime, span: timedelta, step: timedelta, most: int) -> Shape:
    full = WIDTH * (step / span)
    return Shape(
        x=round(WIDTH * ((bar.at - begin) / span) + full * 0.06, 2),
        width=round(max(full * 0.88, 0.6), 2),
        # Even one line among millions is seen.
        height=round(max(HEIGHT * bar.lines / most, 1.5), 2),
        errors_height=round(max(HEIGHT * bar.errors / most, 1.5), 2) if bar.errors else 0,
        begin=bar.at,
        end=bar.at + step,
        lines=bar.lines,
        errors=bar.errors,
    )
