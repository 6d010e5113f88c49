"""Message patterns: what is alike in many messages; and how those of two generations differ. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct

VARIABLE = re.compile(
    r"""
    \b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b     # UUIDs
    | \b0x[0-9a-f]+\b
    | \b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b                    # digests and ids
    | (?:\d{1,3}\.){3}\d{1,3}
    | "[^"]*" | '[^']*'
    | \d+(?:[.,:]\d+)*
    """,
    re.VERBOSE | re.IGNORECASE,
)
LONGEST = 300
"""Characters of a message that make its pattern."""

MOST = 50_000
"""Patterns that are told apart; further ones are counted together."""

OTHER = "(others)"


def pattern_of(message: str) -> str:
    """A message with all that varies (numbers, ids, addresses, quoted text) shown as `*`."""
    first, _, _ = message[:LONGEST].partition("\n")
    return VARIABLE.sub("*", first)


@dataclass
class Profile:
    """What a generation says: its patterns, and how much of it is errors (severity 0-3)."""

    lines: int = 0
    errors: int = 0
    patterns: Counter[str] = field(default_factory=Counter)
    severities: dict[str, int] = field(default_factory=dict)

    def add(self, message: str, severity: int) -> None:
        """One more line."""
        pattern = pattern_of(message)
        if pattern not in self.patterns and len(self.patterns) >= MOST:
            pattern = OTHER
        self.lines += 1
        self.errors += severity <= 3
        self.patterns[pattern] += 1
        self.severities[pattern] = min(severity, self.severities.get(pattern, 7))

    @property
    def error_rate(self) -> float:
        """Errors among its lines, 0 to 1."""
        return self.errors / self.lines if self.lines else 0.0


class Change(Struct, frozen=True):
    """A pattern whose part of the lines changed. `severity` is the worst that a line of it has."""

    pattern: str
    severity: int
    old: int
    new: int


class Comparison(Struct, frozen=True):
    """What differs: patterns that only the new generation has, that only the old one had, and that came more often."""

    appeared: tuple[Change, ...]
    vanished: tuple[Change, ...]
    grew: tuple[Change, ...]


def compared(old: Profile, new: Profile, grown: float = 3.0) -> Comparison:
    """The patterns of a generation against those of one before, the worst and most frequent first.

    One grew if its part of all lines is `grown` times what it was.
    """
    appeared, vanished, grew = [], [], []
    for pattern in old.patterns.keys() | new.patterns.keys():
        before, after = old.patterns[pattern], new.patterns[pattern]
        severity = min(old.severities.get(pattern, 7), new.severities.get(pattern, 7))
        change = Change(pattern, severity, before, after)
        if not before:
            appeared.append(change)
        elif not after:
            vanished.append(change)
        elif after / new.lines >= grown * before / old.lines:
            grew.append(change)
    return Comparison(_ordered(appeared), _ordered(vanished), _ordered(grew))


def _ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(sorted(changes, key=lambda each: (each.severity, -max(each.old, each.new), each.pattern)))
