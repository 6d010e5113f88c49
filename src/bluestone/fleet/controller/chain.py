"""The journal's chain: each entry carries a digest of itself and of the one before it. Pure.

Whoever changes, drops, adds or swaps entries breaks it there. The *head*, the last entry's number and digest, is kept
apart from the entries, so that some which are missing at the end are found too. Who may write the whole file can also
make a whole new chain: against that, write the head down elsewhere, and compare later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from msgspec import Struct

from bluestone.model.problem import Problem

Fields = tuple[bytes, ...]
"""An entry as it is stored: instant, kind, group, server, message and data, each as UTF-8."""


class Head(Struct, frozen=True):
    """The last entry: its number, and its digest (SHA-256). Before the first entry both are nothing."""

    sequence: int = 0
    digest: bytes = bytes(32)

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """A head as it is written: `NUMBER:DIGEST`. Raises `Problem`."""
        if not re.fullmatch(r"[0-9]{1,18}:[0-9a-f]{64}", text):
            raise Problem(f'"{text}" is no head of a journal', mend="give it as `bluestone events --verify` prints it")
        number, _, digest = text.partition(":")
        return cls(int(number), bytes.fromhex(digest))


class Link(Struct, frozen=True):
    """An entry as it stands in the journal, with the digest that it carries."""

    sequence: int
    fields: Fields
    digest: bytes


class Break(Struct, frozen=True):
    """Where the chain is broken: the first entry that is not as it was written, and how that shows."""

    sequence: int
    why: str


def follow(head: Head, fields: Fields) -> Head:
    """The head once an entry has been added."""
    sequence = head.sequence + 1
    digest = hashlib.sha256(head.digest)
    for field in (str(sequence).encode(), *fields):
        digest.update(len(field).to_bytes(8) + field)
    return Head(sequence, digest.digest())


def check(links: Iterable[Link], head: Head, known: Head | None = None) -> Break | None:
    """The first break of a whole journal's chain, oldest entry first; None if it is whole.

    `head` is the one that the journal keeps, `known` one that was written down earlier.
    """
    at = Head()
    for link in links:
        if link.sequence != at.sequence + 1:
            return Break(at.sequence + 1, "it is missing")
        at = follow(at, link.fields)
        if at.digest != link.digest:
            return Break(at.sequence, "it is not what was written, or does not follow the one before it")
        if known is not None and known.sequence == at.sequence and known.digest != at.digest:
            return Break(at.sequence, "the journal up to it is another than the one whose head is known")
    end = max(head.sequence, known.sequence if known else 0)
    if at.sequence < end:
        return Break(at.sequence + 1, f"it is missing: the journal went on to {end}")
    if at != head:
        return Break(at.sequence, "the journal's own head is not its last entry's")
    return None
