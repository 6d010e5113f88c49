"""Maven's order of versions: the rules of its `ComparableVersion`, as of Maven 3.8. Pure.

A version is a list of numbers, words and lists: `.` goes on in the same list; `-`, and a digit beside a letter, begin
one within it. What is missing in one of two versions is compared as nothing: `1.0` is `1`, and `4.3.30.RELEASE` is
`4.3.30`.
"""

from __future__ import annotations

import re
from functools import total_ordering
from itertools import zip_longest
from typing import TypeAlias

Item: TypeAlias = "int | str | list[Item]"

QUALIFIERS = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
"""Words before and after a release, which is the empty one; all others come after these, by name."""

ALIASES = {"ga": "", "final": "", "release": "", "cr": "rc"}
SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
"""What a letter means before a digit."""

RELEASE = (QUALIFIERS.index(""), "")
LONGEST = 256
"""Characters; deeper lists than these make would be too deep to compare."""

DIGITS = "0123456789"
_TOKENS = re.compile(r"[.-]|[0-9]+|[^.\-0-9]+")


@total_ordering
class Key:
    """What a version compares by."""

    __slots__ = ("_items", "_numbers")

    def __init__(self, items: list[Item]) -> None:
        self._items = items
        # Most versions are numbers alone, of which the last is not 0: as tuples they compare at once, and alike.
        self._numbers = tuple(items) if all(type(item) is int for item in items) else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and _compare(self._items, other._items) == 0

    def __lt__(self, other: Key) -> bool:
        if self._numbers is not None and other._numbers is not None:
            return self._numbers < other._numbers
        return _compare(self._items, other._items) < 0

    __hash__ = None  # type: ignore[assignment]  # versions that are written in two ways are equal


def key(version: str) -> Key:
    """What a version compares by. Maven takes any text; raises `ValueError` for an empty or overlong one."""
    text = version.strip().lower()
    if not text or len(text) > LONGEST:
        raise ValueError(f"{version[:80]!r} is no version of a Maven artifact")
    return Key(_parsed(text))


def _parsed(text: str) -> list[Item]:
    lists: list[list[Item]] = [[]]

    def descend() -> None:
        inner: list[Item] = []
        lists[-1].append(inner)
        lists.append(inner)

    parts = _TOKENS.findall(text)
    before = "."
    for part, after in zip_longest(parts, parts[1:], fillvalue=""):
        if part in (".", "-"):
            if before in (".", "-"):
                lists[-1].append(0)
            if part == "-":
                descend()
        elif part[0] in DIGITS:
            if before not in (".", "-"):
                descend()
            lists[-1].append(int(part))
        else:
            followed = after != "" and after[0] in DIGITS
            # `1.x1` is as `1-x1`: a word begins a list, unless it is the first of one.
            if lists[-1] and (followed or not after or before not in (".", "-")):
                descend()
            lists[-1].append(_word(part, followed=followed))
        before = part
    for items in reversed(lists):
        _drop_nothings(items)
    return lists[0]


def _word(text: str, *, followed: bool) -> str:
    return ALIASES.get(text, text) if not followed else SHORT.get(text, ALIASES.get(text, text))


def _drop_nothings(items: list[Item]) -> None:
    """Take out what means nothing, from the end on to the first thing that means something and is no list."""
    for index in range(len(items) - 1, -1, -1):
        if items[index] in (0, "", []):
            del items[index]
        elif not isinstance(items[index], list):
            return


def _compare(one: Item | None, other: Item | None) -> int:
    """Negative, 0 or positive. None is where a version has no more items."""
    if one is None:
        return -_compare(other, None) if other is not None else 0
    if isinstance(one, list):
        if isinstance(other, list):
            pairs = zip_longest(one, other)
            return next((result for left, right in pairs if (result := _compare(left, right))), 0)
        if other is None:
            return next((result for item in one if (result := _compare(item, None))), 0)
        return 1 if isinstance(other, str) else -1
    if isinstance(one, str):
        if isinstance(other, (int, list)):
            return -1
        return _sign(_rank(one), _rank(other) if other is not None else RELEASE)
    return _sign(one, other or 0) if other is None or isinstance(other, int) else 1


def _rank(word: str) -> tuple[int, str]:
    return (QUALIFIERS.index(word), "") if word in QUALIFIERS else (len(QUALIFIERS), word)


def _sign(one: int | tuple[int, str], other: int | tuple[int, str]) -> int:
    return (one > other) - (one < other)  # type: ignore[operator]  # both are numbers, or both ranks
