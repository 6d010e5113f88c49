"""Whether all that a server wrote is here: from the numbers on its lines, without trusting any count. Pure.

A server's shipper numbers its lines from 1 on and says goodbye with the last number. A number that no line has is a
gap; without a goodbye, a server that is gone may have written more than anybody knows.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable

import msgspec
from msgspec import Struct

NUMBER = re.compile(rb'\{"_BLUESTONE_SEQUENCE":"(\d{1,18})"[,}]')
"""A line's number. It stands first, where only the shipper writes."""


class Gap(Struct, frozen=True):
    """Lines `first` to `last` are not here. `dropped` of them the server's own journal dropped, as its shipper says."""

    first: int
    last: int
    dropped: int = 0

    @property
    def count(self) -> int:
        """How many lines."""
        return self.last - self.first + 1


class Account(Struct, frozen=True):
    """A server's lines: `found` of `last` are here. `twice` numbers occur more than once, `unnumbered` lines have none.

    `goodbye` is the last number that the server said there is; None if that was not its last word.
    """

    found: int
    last: int
    gaps: tuple[Gap, ...]
    twice: int
    unnumbered: int
    goodbye: int | None

    def complete(self, *, ended: bool) -> bool:
        """Whether nothing is missing; of a server that has `ended`, also whether its end is known."""
        return not self.gaps and not self.twice and (self.goodbye is not None or not ended or not self.numbered)

    @property
    def numbered(self) -> bool:
        """Whether it was a shipper that sent the lines: other sources give no numbers."""
        return self.last > 0


def account(originals: Iterable[bytes]) -> Account:
    """Count a server's lines, given in any order as they came. Takes 8 bytes of memory for each."""
    numbers = array("q")
    dropped: dict[int, int] = {}
    goodbye, unnumbered = 0, 0
    for original in originals:
        if found := NUMBER.match(original):
            number = int(found[1])
            numbers.append(number)
            if b'"_BLUESTONE_LOST"' in original and (lost := _field(original, "_BLUESTONE_LOST")):
                dropped[number] = lost
        elif b'"_BLUESTONE_GOODBYE"' in original and (said := _field(original, "_BLUESTONE_GOODBYE")) is not None:
            goodbye = max(goodbye, said)
        else:
            unnumbered += 1
    gaps: list[Gap] = []
    before, twice = 0, 0
    for number in sorted(numbers):
        if number == before:
            twice += 1
        elif number > before + 1:
            gaps.append(_gap(before + 1, number - 1, dropped.get(number, 0)))
        before = max(before, number)
    if goodbye > before:
        gaps.append(Gap(before + 1, goodbye))
    last = max(before, goodbye)
    return Account(
        len(numbers) - twice, last, tuple(gaps), twice, unnumbered, goodbye if goodbye == last and last else None
    )


def _gap(first: int, last: int, dropped: int) -> Gap:
    return Gap(first, last, min(dropped, last - first + 1))


def _field(original: bytes, name: str) -> int | None:
    """A field of the line itself, and not of what a program made it say."""
    try:
        line = msgspec.json.decode(original)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    value = line.get(name) if isinstance(line, dict) else None
    return int(value) if isinstance(value, str) and value.isdigit() and len(value) <= 18 else None
