"""A month of server-hours, drawn: a chart, and a page with the chart and a table. Pure.

Colours are those of a theme where the picture is drawn (a PNG), and follow the reader's own where it is looked at in a
browser (SVG, HTML): light, unless dark is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from html import escape
from math import ceil, log10

from msgspec import Struct

from bluestone.hours.ledger import Ledger, cents, hours_of
from bluestone.model.cost import CAUSES, Cause

WIDTH, HEIGHT = 860, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 34, 50
DAY = timedelta(days=1)
FONT = "DejaVu Sans, Liberation Sans, Arial, sans-serif"


class Theme(Struct, frozen=True):
    """The colours of a picture, as CSS has them; `bars` by cause."""

    page: str
    ink: str
    line: str
    bars: Mapping[Cause, str]


LIGHT = Theme(
    "#ffffff", "#1f2328", "#d1d9e0", {"served": "#1a7f37", "lead": "#bf8700", "failed": "#cf222e", "overlap": "#8250df"}
)
DARK = Theme(
    "#0d1117", "#e6edf3", "#3d444d", {"served": "#3fb950", "lead": "#d29922", "failed": "#f85149", "overlap": "#a371f7"}
)


def page(
    found: Ledger,
    project: str,
    currency: str,
    declared: Mapping[str, int],
    rows: Sequence[tuple[str, str, str]],
    caption: str = "",
) -> str:
    """An HTML page that needs nothing from elsewhere; `declared` are the servers of each group, `rows` its table."""
    title = f"{escape(project)}: server-hours from {found.begin:%d %b %Y} to {found.end:%d %b %Y %H:%M} UTC"
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{hours}</td><td>{amount}</td></tr>" for name, hours, amount in rows
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>body{{background:{LIGHT.page};color:{LIGHT.ink};font:14px sans-serif;"
        "margin:2em}"
        "svg{max-width:100%;height:auto}td,th{padding:.2em 1em;text-align:right}"
        "td:first-child,th:first-child{text-align:left}@media (prefers-color-scheme:dark)"
        f"{{body{{background:{DARK.page};color:{DARK.ink}}}}}</style>"
        f"<h1>{title}</h1>{chart(found, sum(declared.values()), caption)}"
        f'<table><tr><th scope="col">what</th><th scope="col">hours</th><th scope="col">{escape(currency)}</th></tr>'
        f"{cells}<tr><th scope=row>total</th><td></td><td>{cents(found.total)}</td></tr></table></html>\n"
    )


def chart(found: Ledger, declared: int, caption: str = "", theme: Theme | None = None) -> str:
    """Each day's server-hours by cause, as an SVG; the dashed line is what `declared` servers always on would be.

    `caption` stands above it. Without a `theme` it is light, or dark where its reader prefers that.
    """
    days = max(1, -(-(found.end - found.begin) // DAY))
    bars = _bars(found, days)
    most = max(declared * 24.0, *(sum(bar.values()) for bar in bars), 1.0)
    unit = _unit(most)
    scale = (HEIGHT - TOP - BOTTOM) / (ceil(most / unit) * unit)
    drawn = theme or LIGHT
    parts = [_style(drawn, follows=theme is None), f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>']
    parts.append(f"<title>server-hours by day and cause</title><text x='{LEFT}' y='18'>{escape(caption)}</text>")
    parts += _grid(scale, most, unit)
    parts += _columns(found, bars, scale)
    level = HEIGHT - BOTTOM - declared * 24 * scale
    parts.append(f'<path class="always" d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}"/>')
    parts += _legend()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f'{head} role="img">{"".join(parts)}</svg>'


def _bars(found: Ledger, days: int) -> list[dict[Cause, float]]:
    """The hours of each day by cause."""
    bars = [dict.fromkeys(CAUSES, 0.0) for _ in range(days)]
    for line in (line for line in found.lines if line.stored is None):
        at = line.begin
        while at < line.end:
            day = (at - found.begin) // DAY
            until = min(line.end, found.begin + (day + 1) * DAY)
            bars[day][line.cause] += float(hours_of(until - at))
            at = until
    return bars


def _unit(most: float) -> float:
    """Hours between two lines of the grid: 1, 2 or 5 times a power of ten, so that there are 3 to 6."""
    power = 10.0 ** int(log10(max(1.0, most / 5)))
    return next((power * n for n in (1, 2, 5) if most / (power * n) <= 6), power * 10)


def _style(theme: Theme, *, follows: bool) -> str:
    return f"<style>{_rules(theme)}{_dark() if follows else ''}</style>"


def _dark() -> str:
    return f"@media (prefers-color-scheme:dark){{{_rules(DARK)}}}"


def _rules(theme: Theme) -> str:
    bars = "".join(f".{cause}{{fill:{colour}}}" for cause, colour in theme.bars.items())
    return (
        f".page{{fill:{theme.page}}}text{{fill:{theme.ink};font:11px {FONT}}}.grid{{stroke:{theme.line}}}"
        f".always{{stroke:{theme.ink};stroke-dasharray:4}}{bars}"
    )


def _grid(scale: float, most: float, unit: float) -> Iterator[str]:
    for number in range(ceil(most / unit) + 1):
        y = HEIGHT - BOTTOM - number * unit * scale
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number * unit:g} h</text>'


def _columns(found: Ledger, bars: Sequence[Mapping[Cause, float]], scale: float) -> Iterator[str]:
    step = (WIDTH - LEFT - RIGHT) / len(bars)
    for number, bar in enumerate(bars):
        left, top = LEFT + number * step, float(HEIGHT - BOTTOM)
        for cause in CAUSES:
            if height := bar[cause] * scale:
                top -= height
                place = f'x="{left + 1:.1f}" y="{top:.2f}" width="{max(1.0, step - 2):.1f}" height="{height:.2f}"'
                yield f'<rect class="{cause}" {place}/>'
        if len(bars) <= 10 or number % 5 == 0:
            day = f"{found.begin + number * DAY:%d %b}"
            yield f'<text x="{left + step / 2:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{day}</text>'


def _legend() -> Iterator[str]:
    y = HEIGHT - 8
    for number, cause in enumerate(CAUSES):
        x = LEFT + number * 96
        yield f'<rect class="{cause}" x="{x}" y="{y - 9}" width="10" height="10"/>'
        yield f'<text x="{x + 15}" y="{y}">{cause}</text>'
    x = LEFT + len(CAUSES) * 96
    yield f'<path class="always" d="M{x} {y - 4}h24"/><text x="{x + 30}" y="{y}">all servers always on</text>'
