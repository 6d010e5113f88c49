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


class Counted(Struct, frozen=True, array_like=True):
    """What some of a server's lines come to, however many they are.

    `runs` are numbers that follow each other: the first and the last of each run, ascending; a number that occurs again
    begins another run. `dropped` are lines that the journal dropped before a number. `goodbye` is 0 without one.
    """

    runs: tuple[tuple[int, int], ...] = ()
    dropped: dict[int, int] = {}
    unnumbered: int = 0
    goodbye: int = 0


def counted(originals: Iterable[bytes]) -> Counted:
    """Count lines, given in any order as they came. Takes 8 bytes of memory for each."""
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
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return Counted(tuple(runs), dropped, unnumbered, goodbye)


def account(parts: Iterable[Counted]) -> Account:
    """A server's lines, from what all parts of them come to."""
    runs: list[tuple[int, int]] = []
    dropped: dict[int, int] = {}
    goodbye, unnumbered = 0, 0
    for part in parts:
        runs += part.runs
        dropped |= part.dropped
        goodbye, unnumbered = max(goodbye, part.goodbye), unnumbered + part.unnumbered
    gaps: list[Gap] = []
    before, twice, there = 0, 0, 0
    for first, last in sorted(runs):
        there += last - first + 1
        # All from `first` to `before` is there already: the run that reached that far began no later.
        twice += max(0, min(before, last) - first + 1)
        if first > before + 1:
            gaps.append(_gap(before + 1, first - 1, dropped.get(first, 0)))
        before = max(before, last)
    if goodbye > before:
        gaps.append(Gap(before + 1, goodbye))
    last = max(before, goodbye)
    return Account(there - twice, last, tuple(gaps), twice, unnumbered, goodbye if goodbye == last and last else None)


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
