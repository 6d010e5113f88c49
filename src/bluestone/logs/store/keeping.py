"""How long lines are kept: pure decisions, and the rules in the catalogue."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct, field

EPOCH = datetime.fromtimestamp(0, UTC)


class Keeping(Struct, frozen=True):
    """For how long and in how much space. `groups` are those with an age of their own; None is without a limit.

    `size` is in bytes, of all sealed lines together.
    """

    age: timedelta | None = None
    size: int | None = None
    groups: Mapping[str, timedelta] = field(default_factory=dict)


class Hold(Struct, frozen=True):
    """A group or server whose lines are not removed, and why."""

    target: str
    reason: str
    since: datetime


class Part(NamedTuple):
    """The lines of one server in a segment. `newest` in microseconds since 1970."""

    server: str
    group: str
    newest: int
    lines: int


class Kept(NamedTuple):
    """A segment: its file, its bytes, and whose lines are in it."""

    file: str
    size: int
    parts: Sequence[Part]


class Removal(NamedTuple):
    """Servers whose lines in a segment are not kept any longer."""

    file: str
    servers: frozenset[str]


def removals(segments: Sequence[Kept], rules: Keeping, held: Collection[str], now: datetime) -> list[Removal]:
    """What need not be kept: first what is too old, then the oldest of what is too much. Held lines always stay."""
    gone: dict[str, set[str]] = {
        segment.file: {part.server for part in segment.parts if _too_old(part, rules, now) and _free(part, held)}
        for segment in segments
    }
    if rules.size is not None:
        total = sum(_left(segment, gone[segment.file]) for segment in segments)
        for segment in sorted(segments, key=lambda each: max(part.newest for part in each.parts)):
            if total <= rules.size:
                break
            total -= _left(segment, gone[segment.file])
            gone[segment.file] |= {part.server for part in segment.parts if _free(part, held)}
            total += _left(segment, gone[segment.file])
    return [Removal(file, frozenset(servers)) for file, servers in gone.items() if servers]


def _too_old(part: Part, rules: Keeping, now: datetime) -> bool:
    age = rules.groups.get(part.group, rules.age)
    return age is not None and EPOCH + timedelta(microseconds=part.newest) < now - age


def _free(part: Part, held: Collection[str]) -> bool:
    return part.server not in held and part.group not in held


def _left(segment: Kept, gone: Collection[str]) -> float:
    """The bytes of what is left, by the number of lines."""
    lines = sum(part.lines for part in segment.parts)
    return segment.size * sum(part.lines for part in segment.parts if part.server not in gone) / lines


def set_rules(database: sqlite3.Connection, rules: Keeping) -> None:
    """Have these rules from now on; cheap if they are the same. Raises `sqlite3.Error`."""
    if rules == get_rules(database):
        return
    rows = [("", None if rules.age is None else int(rules.age.total_seconds()), rules.size)]
    rows += [(group, int(age.total_seconds()), None) for group, age in rules.groups.items()]
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute("DELETE FROM keeping")
        database.executemany("INSERT INTO keeping VALUES (?, ?, ?)", rows)
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def get_rules(database: sqlite3.Connection) -> Keeping:
    """The rules; without any, all is kept."""
    age, size, groups = None, None, {}
    for group, seconds, limit in database.execute('SELECT "group", seconds, bytes FROM keeping').fetchall():
        if group:
            groups[group] = timedelta(seconds=seconds)
        else:
            age, size = None if seconds is None else timedelta(seconds=seconds), limit
    return Keeping(age, size, groups)


def hold(database: sqlite3.Connection, target: str, reason: str, now: datetime) -> None:
    """Keep the lines of a group or server until they are released."""
    database.execute("INSERT OR REPLACE INTO holds VALUES (?, ?, ?)", (target, reason, int(now.timestamp())))


def release(database: sqlite3.Connection, target: str) -> bool:
    """Have the rules again for a group or server; whether it was held."""
    return database.execute("DELETE FROM holds WHERE target = ?", (target,)).rowcount > 0


def holds(database: sqlite3.Connection) -> list[Hold]:
    """What is held, by name."""
    rows = database.execute("SELECT target, reason, since FROM holds ORDER BY target").fetchall()
    return [Hold(target, reason, datetime.fromtimestamp(since, UTC)) for target, reason, since in rows]
