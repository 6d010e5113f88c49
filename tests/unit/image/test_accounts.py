"""Numbers of accounts: from their names alone, whatever the order in which they were made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.accounts import FILES, FIRST, GROUP, GSHADOW, LAST, PASSWD, SHADOW, fixed_names, renumber

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True), max_size=40, unique=True)
BASE = {
    PASSWD: "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n",
    GROUP: "root:x:0:\ndaemon:x:1:\nusers:x:100:\nnogroup:x:65534:\n",
    SHADOW: "root:*:1:0:99999:7:::\ndaemon:*:1:0:99999:7:::\nnobody:*:1:0:99999:7:::\n",
    GSHADOW: "root:*::\ndaemon:*::\nusers:*::\nnogroup:*::\n",
}


def made(names: list[str], first: int = FIRST, step: int = 1) -> dict[str, str]:
    """The files when these accounts were made in turn, each with a group; all are members of `users`."""
    files = dict(BASE)
    for place, name in enumerate(name for name in names if f"\n{name}:" not in f"\n{BASE[PASSWD]}{BASE[GROUP]}"):
        number = first + step * place
        files[PASSWD] += f"{name}:!:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
        files[GROUP] += f"{name}:x:{number}:\n"
        files[SHADOW] += f"{name}:!:1::::::\n"
        files[GSHADOW] += f"{name}:!::\n"
    members = ",".join(row.split(":")[0] for row in files[PASSWD].splitlines()[3:])
    files[GROUP] = files[GROUP].replace("users:x:100:", f"users:x:100:{members}")
    return files


@given(NAMES, st.randoms(use_true_random=False))
def test_the_order_in_which_accounts_are_made_does_not_show(names: list[str], chance: object) -> None:
    shuffled = list(names)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = made(names), made(shuffled, LAST, -1)
    assert renumber(one).files == renumber(other).files


@given(NAMES)
def test_numbers_are_each_ones_own_and_settled(names: list[str]) -> None:
    done = renumber(made(names)).files
    for table in (PASSWD, GROUP):
        numbers = [int(row.split(":")[2]) for row in done[table].splitlines()]
        assert len(numbers) == len(set(numbers))
        assert numbers == sorted(numbers)
    again = renumber(done)
    assert (again.users, again.groups, dict(again.files)) == ({}, {}, done)


@given(NAMES)
def test_every_account_is_still_there_with_its_own_group(names: list[str]) -> None:
    before, after = made(names), renumber(made(names)).files
    for table in FILES:
        assert {row.split(":")[0] for row in before[table].splitlines()} == {
            row.split(":")[0] for row in after[table].splitlines()
        }
    groups = {row.split(":")[0]: row.split(":")[2] for row in after[GROUP].splitlines()}
    for row in after[PASSWD].splitlines()[3:]:
        name, _, uid, gid = row.split(":")[:4]
        if FIRST <= int(uid) <= LAST:
            assert uid == gid == groups[name]


def test_an_account_has_the_same_number_whoever_else_is_there() -> None:
    alone = renumber(made(["postgres"])).files[PASSWD]
    crowd = renumber(made(["redis", "messagebus", "postgres"])).files[PASSWD]
    (row,) = [row for row in alone.splitlines() if row.startswith("postgres:")]
    assert row in crowd


def test_what_moves_is_told_by_its_old_numbers() -> None:
    new = renumber(made(["postgres"], first=101))
    (row,) = [row for row in new.files[PASSWD].splitlines() if row.startswith("postgres:")]
    assert new.users == new.groups == {101: int(row.split(":")[2])}


def test_a_number_that_a_package_says_is_kept() -> None:
    assert fixed_names(['# x\nu  backend 333 "Backend" /var/lib\ng kvm -\nu! other 4:5\nm a b\n']) == {
        "backend",
        "other",
    }
    kept = renumber(made(["backend"], first=333), {"backend"})
    assert not kept.users
    assert "backend:!:333:333:" in kept.files[PASSWD]


def test_a_row_that_is_no_account_is_refused() -> None:
    with pytest.raises(ValueError, match="etc/passwd"):
        renumber(BASE | {PASSWD: "what\n"})
