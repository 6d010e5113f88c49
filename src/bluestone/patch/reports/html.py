"""The board as one page that needs nothing else: no script, no address but its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bluestone.model.ids import short
from bluestone.patch.board import ORDER, Board, Row, outcome, rows
from bluestone.patch.history import Look
from bluestone.patch.reports.chart import chart

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #8884; }
code { font-size: .9em; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; }
.overdue { color: #cf222e; } .due { color: #9a6700; } .outcome { font-weight: 600; }
@media (prefers-color-scheme: dark) { .overdue { color: #ff7b72; } .due { color: #d4a72c; } }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
HEAD = ("package", "has", "fixed in", "advisories", "severity", "since", "due", "groups", "servers")
SHOWN = 12
"""Advisories of a row that are named."""


def page(board: Board, looks: Sequence[Look]) -> str:
    """The page: what stands where, how it came, and what cannot be told."""
    found, table = board.assessment, rows(board)
    drawn = chart(looks, found.at)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Exposures of {escape(board.project)}</title><style>{STYLE}</style></head><body>",
        f"<h1>Exposures of {escape(board.project)}</h1>",
        f'<p><span class="outcome">{outcome(board)}</span>, as of {found.at:%Y-%m-%d %H:%M} UTC</p>',
        *(["<h2>Over time</h2>", drawn] if drawn else []),
    ]
    for standing in ORDER:
        of_it = [row for row in table if row.standing == standing]
        if of_it:
            parts.append(f'<h2 class="{standing.replace(" ", "-")}">{standing} ({len(of_it)})</h2>')
            parts.append(_table(HEAD, (_cells(row) for row in of_it)))
    untold = [*(f"image {short(u.image)}: {u.components} of {u.realm or 'files'}: {u.why}" for u in found.unknown)]
    if untold or found.gaps:
        parts.append("<h2>Cannot be told</h2><ul>")
        parts += [f"<li>{escape(each)}</li>" for each in (*untold, *found.gaps)]
        parts.append("</ul>")
    feeds = (
        (
            escape(state.name),
            f"{state.date:%Y-%m-%d %H:%M}" if state.date else "",
            f"{state.fetched:%Y-%m-%d %H:%M}" if state.fetched else "never",
            f"<code>{state.digest[:16]}</code>",
            escape(state.trouble or "sound"),
        )
        for state in found.feeds
    )
    parts += ["<h2>Feeds</h2>", _table(("feed", "describes", "fetched", "sha256", "state"), feeds), "</body></html>"]
    return "\n".join(parts) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    names = ", ".join(map(escape, row.names[:SHOWN]))
    more = f" and {len(row.names) - SHOWN} more" if len(row.names) > SHOWN else ""
    marks = [row.severity if row.severity != "unknown" else "", "known to be exploited" if row.exploited else ""]
    marks.append(f"EPSS {row.epss:.0%}" if row.epss is not None else "")
    return (
        f"{escape(row.package)} <small>{row.ecosystem}</small>",
        f"<code>{escape(row.version)}</code>",
        f"<code>{escape(row.fixed)}</code>",
        names + more,
        ", ".join(filter(None, marks)),
        f"{row.since:%Y-%m-%d}" if row.since else "",
        f'<span title="{escape(row.due.why)}">{f"{row.due.at:%Y-%m-%d %H:%M}" if row.due.at else "-"}</span>',
        escape(", ".join(row.groups)),
        str(len(row.servers)),
    )


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    names = "".join(f"<th>{each}</th>" for each in head)
    lines = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" for cells in body)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
