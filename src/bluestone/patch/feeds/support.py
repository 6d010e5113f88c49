"""Until when releases get fixes: Debian's distro-info-data (CSV) or a list as endoflife.date has it (JSON). Pure."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date

import msgspec

from bluestone.patch.feeds.reading import Damaged, Reading

LONGEST = ("eol-lts", "eol-server", "eol")
"""Columns of distro-info-data: until when a release's own archive has fixes, the farthest first. ELTS is elsewhere."""


class _Cycle(msgspec.Struct, rename="camel"):
    cycle: str
    codename: str = ""
    eol: date | bool | None = None
    extended_support: date | bool | None = None


def read(content: bytes) -> Reading:
    """The days on which releases' support ends, by codename. Raises `Damaged`."""
    ends = _of_json(content) if content.lstrip().startswith(b"[") else _of_csv(content)
    return Reading(len(ends), ends=ends)


def _of_csv(content: bytes) -> Mapping[str, date]:
    try:
        rows = list(csv.DictReader(content.decode().splitlines()))
        if rows and not {"series", "eol"} <= rows[0].keys():
            raise Damaged("has no columns series and eol")
        found = {}
        for row in rows:
            if end := next((row[column] for column in LONGEST if row.get(column)), None):
                found[row["series"]] = date.fromisoformat(end)
    except (ValueError, csv.Error) as error:
        raise error if isinstance(error, Damaged) else Damaged(f"cannot be read: {error}") from error
    return found


def _of_json(content: bytes) -> Mapping[str, date]:
    try:
        cycles = msgspec.json.decode(content, type=list[_Cycle])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"cannot be read: {error}") from error
    dated = {each.codename.split(" ")[0].lower(): each.eol for each in cycles if each.codename}
    return {name: end for name, end in dated.items() if isinstance(end, date)}
