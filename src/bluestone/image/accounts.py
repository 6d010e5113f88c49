"""Numbers of the accounts that packages make: from their names, not from the order in which they were made. Pure.

A package asks for "the next free number" when it is configured, so that a tree's numbers depend on the way it came
about, and on packages that have nothing to do with each other. Here a name has a number of its own, in every image:
files on a volume stay their owner's when a server is replaced by one of another image. Only where two names meet does
the one that sorts later take the next number that is free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set

from msgspec import Struct, field

FIRST, LAST = 101, 999
"""Numbers that Debian's policy (9.2.2) leaves to packages, without 100, which is the group `users`."""

PASSWD, GROUP, SHADOW, GSHADOW = "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"
FIELDS = {PASSWD: 7, GROUP: 4, SHADOW: 2, GSHADOW: 4}
"""The least fields of a row of each file (passwd(5), group(5), shadow(5), gshadow(5))."""

FILES = tuple(FIELDS)


class Renumbering(Struct, frozen=True):
    """New numbers of users and of groups, by the old ones, where they differ; and the files of accounts, by path."""

    users: Mapping[int, int] = field(default_factory=dict)
    groups: Mapping[int, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def renumber(files: Mapping[str, str], fixed: Set[str] = frozenset()) -> Renumbering:
    """The accounts of a tree by number, those of packages by their names. `files` are those of `FILES` that are there.

    Names in `fixed` keep their number. Raises `ValueError` for a row that is no account.
    """
    users, groups = _rows(files, PASSWD), _rows(files, GROUP)
    numbers = _numbers([*users, *groups], fixed)
    new_users = {int(row[2]): numbers.get(row[0], int(row[2])) for row in users}
    new_groups = {int(row[2]): numbers.get(row[0], int(row[2])) for row in groups}
    for row in users:
        row[2], row[3] = str(new_users[int(row[2])]), str(new_groups.get(int(row[3]), int(row[3])))
    for row in groups:
        row[2], row[3:] = str(new_groups[int(row[2])]), [_members(row[3])]
    users.sort(key=_by_number)
    groups.sort(key=_by_number)
    shadow, gshadow = _rows(files, SHADOW), _rows(files, GSHADOW)
    for row in gshadow:
        row[2:] = [_members(each) for each in row[2:]]
    tables = {PASSWD: users, GROUP: groups, SHADOW: _like(users, shadow), GSHADOW: _like(groups, gshadow)}
    return Renumbering(
        _moved(new_users),
        _moved(new_groups),
        {path: "".join(f"{':'.join(row)}\n" for row in tables[path]) for path in files},
    )


def fixed_names(sysusers: Iterable[str]) -> set[str]:
    """The accounts for which a package's sysusers.d(5) says a number: theirs is the same in every tree already."""
    found = set()
    for text in sysusers:
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 3 and words[0].rstrip("!") in ("u", "g") and words[2].replace(":", "").isdigit():
                found.add(words[1])
    return found


def _numbers(rows: Iterable[list[str]], fixed: Set[str]) -> dict[str, int]:
    """Numbers by name, for the accounts of packages; a user and the group of the same name share one."""
    listed = [(row[0], int(row[2])) for row in rows]
    movable = {name for name, number in listed if FIRST <= number <= LAST and name not in fixed}
    taken = {number for name, number in listed if name not in movable}
    numbers = {}
    for name in sorted(movable):
        span = LAST - FIRST + 1
        wish = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        free = (FIRST + (wish + step) % span for step in range(span))
        numbers[name] = next(number for number in free if number not in taken)
        taken.add(numbers[name])
    return numbers


def _rows(files: Mapping[str, str], path: str) -> list[list[str]]:
    rows = [line.split(":") for line in files.get(path, "").splitlines() if line.strip()]
    for row in rows:
        if len(row) < FIELDS[path] or (path in (PASSWD, GROUP) and not row[2].isdigit()):
            raise ValueError(f"{path} has a row that is no account: {':'.join(row)}")
    return rows


def _members(field: str) -> str:
    return ",".join(sorted(field.split(","))) if field else field


def _by_number(row: list[str]) -> tuple[int, str]:
    return int(row[2]), row[0]


def _like(others: list[list[str]], rows: list[list[str]]) -> list[list[str]]:
    """Rows in the order of others that have the same names."""
    order = {row[0]: place for place, row in enumerate(others)}
    return sorted(rows, key=lambda row: (order.get(row[0], len(order)), row[0]))


def _moved(numbers: Mapping[int, int]) -> dict[int, int]:
    return {old: new for old, new in numbers.items() if old != new}
