"""Reads Debian changelogs (deb-changelog(5)): which version came when, and which CVEs it names. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

_HEAD = re.compile(r"^(\S+) \(([^()\s]+)\) ([^;]+);", re.MULTILINE)
_TRAILER = re.compile(r"^ -- .*>  ?(.+)$", re.MULTILINE)
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,7}\b", re.IGNORECASE)
MOST = 500
"""Entries that are read, the newest first."""


class Entry(msgspec.Struct, frozen=True):
    """One version: the CVEs that it names, sorted, and when it was made."""

    version: str
    cves: tuple[str, ...]
    at: datetime | None


def entries(text: str) -> list[Entry]:
    """The entries of a changelog, the newest first. What is not in its form is passed over."""
    heads = list(_HEAD.finditer(text))[:MOST]
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = []
    for head, end in zip(heads, ends, strict=False):
        body = text[head.end() : end]
        trailer = _TRAILER.search(body)
        cves = tuple(sorted({name.upper() for name in _CVE.findall(body)}))
        found.append(Entry(head[2], cves, _moment(trailer[1]) if trailer else None))
    return found


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text.strip())
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
