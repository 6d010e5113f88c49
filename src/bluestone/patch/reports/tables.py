"""Exposures as a table for other programs: CSV (RFC 4180), a line for each component and advisory. Pure."""

from __future__ import annotations

import csv
from types import SimpleNamespace

from bluestone.patch.board import Board

COLUMNS = (
    *("standing", "verdict", "advisory", "cves", "severity", "cvss", "exploited", "epss", "ecosystem", "package"),
    *("version", "fixed", "since", "due", "image", "path", "purl", "why", "groups", "servers"),
)


def as_csv(board: Board) -> str:
    """All exposures, those that are none as well. A cell that a spreadsheet would reckon with begins with `'`."""
    lines: list[str] = []
    writer = csv.writer(SimpleNamespace(write=lines.append))
    writer.writerow(COLUMNS)
    for each, due, standing in board.each():
        advisory, component = each.advisory, each.component
        cells = (
            *(standing or "", each.verdict, advisory.id, " ".join(advisory.cves), advisory.severity),
            *("" if advisory.cvss is None else advisory.cvss, advisory.exploited),
            *("" if advisory.epss is None else advisory.epss, component.ecosystem, component.name, component.version),
            *(each.fixed, each.since.isoformat() if each.since else "", due.at.isoformat() if due.at else ""),
            *(each.image, component.path, component.purl, each.why, " ".join(board.groups.get(each.image, ()))),
            " ".join(board.assessment.servers.get(each.image, ())),
        )
        writer.writerow([_inert(str(cell)) for cell in cells])
    return "".join(lines)


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
