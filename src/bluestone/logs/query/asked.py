"""What is asked of a store: a value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

from bluestone.logs.query.conditions import LONGEST_PATTERN, Contains, Exact, Range, checked
from bluestone.logs.query.nodes import And, Leaf, Node
from bluestone.model.problem import Problem

MILDEST = 7
EPOCH = datetime.fromtimestamp(0, UTC)
MICROSECOND = timedelta(microseconds=1)


class Query(Struct, frozen=True):
    """Which lines. `since` is inclusive, `until` exclusive, both aware; `severity` 0-7 is the mildest wanted.

    `grep` is text to be found in the message, in either case, or a regular expression between slashes
    (`/5\\d\\d/`), also in either case; `where` is a query of the query language. `limit` keeps the newest lines
    (`newest`) or the oldest.
    """

    group: str | None = None
    server: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    grep: str | None = None
    severity: int = MILDEST
    limit: int | None = None
    newest: bool = True
    where: Node = field(default_factory=And)

    @property
    def node(self) -> Node:
        """All conditions but the times, as one tree, the narrowest first. Raises `Problem` (a pattern that is none)."""
        parts: list[Node] = []
        if self.server is not None:
            parts.append(Leaf("server", Exact(self.server)))
        if self.group is not None:
            parts.append(Leaf("group", Exact(self.group)))
        if self.severity < MILDEST:
            parts.append(Leaf("severity", Range(None, str(self.severity))))
        if self.where != And():
            parts.append(self.where)
        if self.grep:
            parts.append(_grep(self.grep))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    @property
    def begin(self) -> int | None:
        """`since` in microseconds since 1970."""
        return None if self.since is None else micros(self.since)

    @property
    def end(self) -> int | None:
        """`until` in microseconds since 1970."""
        return None if self.until is None else micros(self.until)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def _grep(grep: str) -> Leaf:
    if len(grep) > 2 and grep[0] == grep[-1] == "/":
        return Leaf("message", checked(grep[1:-1]))
    if len(grep) > LONGEST_PATTERN:
        raise Problem(
            f"the pattern is {len(grep)} characters long; at most {LONGEST_PATTERN} are taken",
            mend="look for a part of it",
        )
    return Leaf("message", Contains(grep))
