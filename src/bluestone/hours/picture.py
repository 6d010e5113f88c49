"""A month of server-hours, drawn: a page with a chart and a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from html import escape

from bluestone.hours.ledger import Ledger, cents, hours_of
from bluestone.model.cost import CAUSES, Cause

WIDTH, HEIGHT, LEFT, BOTTOM = 860, 260, 56, 40
COLOURS: Mapping[Cause, str] = {"served": "#1a7f37", "lead": "#bf8700", "failed": "#cf222e", "overlap": "#8250df"}
DAY = timedelta(days=1)


def page(
    found: Ledger, project: str, currency: str, declared: Mapping[str, int], rows: Sequence[tuple[str, str, str]]
) -> str:
    """An HTML page that needs nothing from elsewhere; `declared` are the servers of each group, `rows` its table."""
    title = f"{escape(project)}: server-hours from {found.begin:%d %b %Y} to {found.end:%d %b %Y %H:%M} UTC"
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{hours}</td><td>{amount}</td></tr>" for name, hours, amount in rows
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:14px sans-serif;margin:2em}td,th{padding:.2em 1em;text-align:right}"
        "td:first-child,th:first-child{text-align:left}</style>"
        f"<h1>{title}</h1>{chart(found, sum(declared.values()))}"
        f"<table><tr><th></th><th>hours</th><th>{escape(currency)}</th></tr>{cells}"
        f"<tr><th>total</th><td></td><td>{cents(found.total)}</td></tr></table></html>\n"
    )


def chart(found: Ledger, declared: int) -> str:
    """Each day's server-hours by cause, as an SVG; the line is what `declared` servers that are always on would be."""
    days = max(1, -(-(found.end - found.begin) // DAY))
    bars = [dict.fromkeys(CAUSES, 0.0) for _ in range(days)]
    for line in found.lines:
        at = line.begin
        while at < line.end:
            day = (at - found.begin) // DAY
            until = min(line.end, found.begin + (day + 1) * DAY)
            bars[day][line.cause] += float(hours_of(until - at))
            at = until
    most = max(declared * 24.0, *(sum(bar.values()) for bar in bars), 1.0)
    step = (WIDTH - LEFT) / days
    scale = (HEIGHT - BOTTOM - 10) / most
    parts = []
    for number, bar in enumerate(bars):
        top = float(HEIGHT - BOTTOM)
        for cause in CAUSES:
            height = bar[cause] * scale
            top -= height
            if height:
                parts.append(
                    f'<rect x="{LEFT + number * step + 1:.1f}" y="{top:.1f}" width="{max(1.0, step - 2):.1f}" '
                    f'height="{height:.2f}" fill="{COLOURS[cause]}"/>'
                )
        if days <= 10 or number % 5 == 0:
            name = f"{found.begin + number * DAY:%d %b}"
            parts.append(f'<text x="{LEFT + number * step:.1f}" y="{HEIGHT - BOTTOM + 14}">{name}</text>')
    level = HEIGHT - BOTTOM - declared * 24 * scale
    parts.append(f'<path d="M{LEFT} {level:.1f}H{WIDTH}" stroke="#555" stroke-dasharray="4"/>')
    parts.append(f'<text x="0" y="{level + 4:.1f}">{declared * 24} h</text>')
    for number, cause in enumerate(CAUSES):
        x = LEFT + number * 110
        parts.append(f'<rect x="{x}" y="{HEIGHT - 16}" width="10" height="10" fill="{COLOURS[cause]}"/>')
        parts.append(f'<text x="{x + 14}" y="{HEIGHT - 7}">{cause}</text>')
    parts.append(f'<text x="{LEFT + len(CAUSES) * 110}" y="{HEIGHT - 7}">dashed: always on</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="11" width="{WIDTH}">'
    return head + "".join(parts) + "</svg>"
