"""Capacity over time, as an SVG and as a line of text. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from textwrap import wrap

from msgspec import Struct

BARS = "▁▂▃▄▅▆▇█"
WIDTH, HEIGHT, MARGIN = 860, 220, 46
LINE, CAPTION = 16, 110
"""The height of a line of the caption, and how many characters it may have."""

INK, SERVING, RANGE, EXISTING, FLOOR = "#333", "#1a7f37", "#aceebb", "#8c959f", "#cf222e"


class Panel(Struct, frozen=True):
    """One group. Each list has a value for each of equally long steps of `seconds` in all.

    `serving` and `existing` are those of one history, `least` and `most` the range of what served in all of them.
    """

    title: str
    seconds: float
    serving: Sequence[int]
    existing: Sequence[int]
    least: Sequence[int]
    most: Sequence[int]
    floor: int


def steps(changes: Sequence[tuple[float, int]], seconds: float, number: int) -> list[int]:
    """What held at each of `number` moments of `seconds`; `changes` are (second, value), the first at 0 or before."""
    values, index = [], 0
    for step in range(number):
        moment = seconds * step / max(1, number - 1)
        while index + 1 < len(changes) and changes[index + 1][0] <= moment:
            index += 1
        values.append(changes[index][1])
    return values


def sparkline(values: Sequence[int], highest: int) -> str:
    """A character for each value, from 0 to the highest."""
    return "".join(BARS[min(len(BARS) - 1, value * (len(BARS) - 1) // max(1, highest))] for value in values)


def svg(panels: Sequence[Panel], caption: str) -> str:
    """The panels one below the other, with a caption."""
    lines = wrap(caption, CAPTION)
    height = HEIGHT * len(panels) + LINE * len(lines) + 14
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *(part for number, panel in enumerate(panels) for part in _panel(panel, number * HEIGHT)),
        *(
            f'<text x="{MARGIN}" y="{height - 10 - LINE * above}">{escape(line)}</text>'
            for above, line in enumerate(reversed(lines))
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    highest = max(1, *panel.existing, *panel.most)
    left, right, low, high = MARGIN, WIDTH - MARGIN, top + HEIGHT - 34, top + 30

    def x(step: int) -> float:
        return left + (right - left) * step / max(1, len(panel.serving) - 1)

    def y(value: float) -> float:
        return low - (low - high) * value / highest

    def line(values: Sequence[int], colour: str, width: float) -> str:
        return f'<path d="M{_stairs(values, x, y)}" fill="none" stroke="{colour}" stroke-width="{width}"/>'

    back = _stairs(panel.least[::-1], lambda step: x(len(panel.least) - 1 - step), y)
    ticks = range(0, highest + 1, max(1, -(-highest // 6)))
    return [
        f'<text x="{left}" y="{top + 18}" font-weight="bold">{escape(panel.title)}</text>',
        *_legend(right, top + 18),
        *(f'<text x="{left - 8}" y="{y(n) + 4:.1f}" text-anchor="end">{n}</text>' for n in ticks),
        *(f'<path d="M{left} {y(n):.1f}H{right}" stroke="#eee"/>' for n in ticks),
        f'<path d="M{_stairs(panel.most, x, y)}L{back}Z" fill="{RANGE}"/>',
        line(panel.existing, EXISTING, 1),
        line(panel.serving, SERVING, 2),
        f'<path d="M{left} {y(panel.floor):.1f}H{right}" stroke="{FLOOR}" stroke-dasharray="5 4"/>',
        f'<text x="{right + 4}" y="{y(panel.floor) + 4:.1f}" fill="{FLOOR}">floor</text>',
        f'<text x="{left}" y="{low + 18}">0 s</text>',
        f'<text x="{right}" y="{low + 18}" text-anchor="end">{panel.seconds:.0f} s</text>',
    ]


def _legend(right: int, baseline: int) -> list[str]:
    """What the colours mean, from the right edge to the left."""
    parts: list[str] = []
    for text, width, colour, thick in (
        ("existed", 48, EXISTING, 1),
        ("served", 46, SERVING, 2),
        ("served, in all histories", 138, RANGE, 10),
    ):
        right -= width
        parts.append(f'<text x="{right}" y="{baseline}">{text}</text>')
        parts.append(f'<path d="M{right - 22} {baseline - 4}H{right - 6}" stroke="{colour}" stroke-width="{thick}"/>')
        right -= 34
    return parts


def _stairs(values: Sequence[int], x: Callable[[int], float], y: Callable[[float], float]) -> str:
    points = [f"{x(0):.1f} {y(values[0]):.1f}"]
    for step, (before, value) in enumerate(pairwise(values), start=1):
        if value != before:
            points.append(f"H{x(step):.1f}V{y(value):.1f}")
    return "".join([*points, f"H{x(len(values) - 1):.1f}"])
