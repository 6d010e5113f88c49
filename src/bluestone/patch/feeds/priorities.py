"""What makes one advisory more urgent than another: CISA's list of what is exploited (KEV), and FIRST's EPSS. Pure."""

from __future__ import annotations

import zlib
from datetime import date

import msgspec

from bluestone.patch.feeds.reading import Damaged, Exploited, Reading, moment

LARGEST = 200 << 20
"""Bytes of EPSS scores, unpacked; the list of 2026 has some 12 MB."""


class _Entry(msgspec.Struct, rename="camel"):
    cve_id: str = msgspec.field(name="cveID")
    date_added: date
    due_date: date | None = None


class _Catalogue(msgspec.Struct, rename="camel"):
    count: int
    date_released: str
    vulnerabilities: list[_Entry]


def exploited(content: bytes) -> Reading:
    """CISA's Known Exploited Vulnerabilities, as JSON. Raises `Damaged`, also if it has not as many as it says."""
    try:
        found = msgspec.json.decode(content, type=_Catalogue)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"cannot be read: {error}") from error
    if found.count != len(found.vulnerabilities):
        raise Damaged(f"says that it has {found.count} entries, and has {len(found.vulnerabilities)}")
    marks = {each.cve_id: Exploited(each.date_added, each.due_date) for each in found.vulnerabilities}
    return Reading(len(marks), dated=moment(found.date_released), exploited=marks)


def scores(content: bytes) -> Reading:
    """EPSS's scores of one day, CSV in gzip: a comment with the date, a head, then CVE, probability, percentile.

    Raises `Damaged`.
    """
    try:
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        text = unpack.decompress(content, LARGEST).decode("ascii")
        if not unpack.eof:
            raise Damaged("is cut short, or too large")
        comment, _, body = text.partition("\n")
        said = dict(part.partition(":")[::2] for part in comment.lstrip("#").split(","))
        head, _, rows = body.partition("\n")
        if head.split(",")[:2] != ["cve", "epss"]:
            raise Damaged("has no columns cve and epss")
        # Each text is needed for as long as its line is: there are some 300,000.
        found = {row.partition(",")[0]: float(row.split(",", 2)[1]) for row in rows.splitlines() if row}
    except (zlib.error, UnicodeDecodeError, ValueError, IndexError) as error:
        raise error if isinstance(error, Damaged) else Damaged(f"cannot be read: {error}") from error
    if not all(0 <= score <= 1 for score in found.values()):
        raise Damaged("has a probability that is none")
    return Reading(len(found), dated=moment(said.get("score_date", "")), epss=found)
