"""Whether a range of npm's admits a version (node-semver's README, "Ranges"), for the forms that package files have.

What is not read here (hyphens, URLs, tags) admits nothing: then a person decides. Pure.
"""

from __future__ import annotations

import re

from bluestone.patch.versions import semantic

_PARTIAL = r"[v=]?(\d+|[xX*])(?:\.(\d+|[xX*])(?:\.(\d+|[xX*])((?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?))?)?"
_COMPARATOR = re.compile(rf"(\^|~|>=|<=|>|<|=)?\s*{_PARTIAL}")


def admits(text: str, version: str) -> bool:
    """Whether any of the alternatives holds."""
    try:
        key = semantic.key(version)
    except ValueError:
        return False
    return any(_holds(alternative.strip(), key) for alternative in text.split("||"))


def _holds(alternative: str, key: semantic.Key) -> bool:
    if alternative in ("", "*", "x", "X"):
        return key[3]
    at = 0
    while at < len(alternative):
        match = _COMPARATOR.match(alternative, at)
        if match is None or not _within(match, key):
            return False
        at = match.end()
        rest = alternative[at:]
        if rest and not rest.startswith(" "):
            return False
        at += len(rest) - len(rest.lstrip())
    return True


def _within(match: re.Match[str], key: semantic.Key) -> bool:
    sign, *parts, tail = match.groups()
    given = [int(part) for part in _given(parts)]
    low = semantic.key(".".join(map(str, [*given, 0, 0, 0][:3])) + (tail or ""))
    if not key[3] and (low[3] or key[:3] != low[:3]):
        return False  # What comes before a release is taken only if its own release is asked for.
    if sign in (">", "<=") and len(given) < 3:
        past = not given or key >= _next(given, len(given))
        return past if sign == ">" else not past
    match sign:
        case ">":
            return key > low
        case ">=":
            return key >= low
        case "<":
            return key < low
        case "<=":
            return key <= low
        case "^":
            nonzero = next((number for number, part in enumerate(given, 1) if part), len(given))
            return key >= low and (not given or key < _next(given, nonzero))
        case "~":
            return key >= low and (not given or key < _next(given, min(2, len(given))))
        case _:
            return key == low if len(given) == 3 else not given or low <= key < _next(given, len(given))


def _given(parts: list[str | None]) -> list[str]:
    """The numbers of a partial version, up to the first that is left open."""
    found: list[str] = []
    for part in parts:
        if part is None or part in "xX*":
            break
        found.append(part)
    return found


def _next(given: list[int], count: int) -> semantic.Key:
    """The first version, whatever comes before it, with another number at place `count`."""
    parts = [*given[: count - 1], given[count - 1] + 1, 0, 0, 0][:3]
    return semantic.key(".".join(map(str, parts)) + "-0")
