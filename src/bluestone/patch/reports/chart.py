"""How exposed a project was over time, as an SVG: what stood where, one upon the other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bluestone.patch.history import Look
from bluestone.patch.policy import Standing

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860, 240, 46, 16, 44
LAYERS: tuple[tuple[Standing, str], ...] = (
    ("overdue", "#cf222e"),
    ("due", "#d4a72c"),
    ("someday", "#54aeff"),
    ("unknown", "#8250df"),
    ("no fix", "#afb8c1"),
    ("waived", "#d8dee4"),
)
"""From the bottom up."""

UNTOLD = ("cannot be told", "#8250df30")
"""Behind the rest, where a feed was in trouble or nothing covered what images hold: little there is not few."""

MOST = 400
"""Looks that are drawn; of more, the worst of each stretch."""


def chart(looks: Sequence[Look], now: datetime) -> str:
    """The looks up to now, each as it was until the next one. Nothing is drawn of none."""
    looks = thinned(looks)
    if not looks:
        return ""
    begin = looks[0].at.timestamp()
    span = max(1.0, now.timestamp() - begin)
    highest = max(1, *(sum(look.of(standing) for standing, _ in LAYERS) for look in looks))

    def x(moment: datetime) -> float:
        return LEFT + (WIDTH - LEFT - 10) * (moment.timestamp() - begin) / span

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / highest)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="packages exposed over time">'
    ]
    ends = [*(look.at for look in looks[1:]), now]
    parts += [
        f'<rect x="{x(look.at):.1f}" y="{TOP}" width="{x(end) - x(look.at):.1f}" height="{HEIGHT - TOP - BOTTOM}" '
        f'fill="{UNTOLD[1]}"/>'
        for look, end in zip(looks, ends, strict=True)
        if _untold(look)
    ]
    floors = [0] * len(looks)
    for standing, colour in LAYERS:
        tops = [floor + look.of(standing) for floor, look in zip(floors, looks, strict=True)]
        if tops != floors:
            there = [
                f"{x(at):.1f},{y(value):.1f}"
                for look, end, value in zip(looks, ends, tops, strict=True)
                for at in (look.at, end)
            ]
            back = [
                f"{x(at):.1f},{y(value):.1f}"
                for look, end, value in zip(looks[::-1], ends[::-1], floors[::-1], strict=True)
                for at in (end, look.at)
            ]
            parts.append(f'<polygon fill="{colour}" points="{" ".join([*there, *back])}"/>')
        floors = tops
    parts += [
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="currentColor">{value}</text>'
        for value in sorted({0, highest // 2, highest})
    ]
    base = HEIGHT - BOTTOM + 16
    parts.append(f'<text x="{LEFT}" y="{base}" fill="currentColor">{looks[0].at:%Y-%m-%d %H:%M}</text>')
    parts.append(
        f'<text x="{WIDTH - 10}" y="{base}" text-anchor="end" fill="currentColor">{now:%Y-%m-%d %H:%M} UTC</text>'
    )
    legend: tuple[tuple[str, str], ...] = (*LAYERS, UNTOLD)
    for number, (name, colour) in enumerate(legend):
        at = LEFT + number * 110
        parts.append(f'<rect x="{at}" y="{HEIGHT - 18}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{at + 15}" y="{HEIGHT - 9}" fill="currentColor">{name}</text>')
    return "\n".join([*parts, "</svg>"])


def _untold(look: Look) -> bool:
    """Whether more may have been exposed than was seen."""
    return look.outcome == "unknown" or not all(look.feeds.values())


def thinned(looks: Sequence[Look]) -> list[Look]:
    """At most so many looks as can be told apart: of each stretch the one with the most overdue and due, which is not
    hidden by calmer ones; the last one always."""
    if len(looks) <= MOST:
        return list(looks)
    stretch = -(-(len(looks) - 1) // (MOST - 1))
    stretches = [looks[at : at + stretch] for at in range(0, len(looks) - 1, stretch)]
    return [
        *(max(each, key=lambda look: (look.of("overdue"), look.of("due"), _untold(look))) for each in stretches),
        looks[-1],
    ]
