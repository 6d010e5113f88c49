from __future__ import annotations

import json
import random
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.audit import Account, Gap, account, counted


def of(lines: Iterable[bytes]) -> Account:
    return account([counted(lines)])


def line(number: int, **fields: object) -> bytes:
    text = json.dumps({"_BLUESTONE_SEQUENCE": str(number), "MESSAGE": "x", **fields}, separators=(",", ":"))
    return text.encode()


def goodbye(number: int) -> bytes:
    return json.dumps({"__CURSOR": "c", "_BLUESTONE_GOODBYE": str(number), "MESSAGE": f"goodbye {number}"}).encode()


def test_all_of_it_is_here() -> None:
    found = of([*map(line, range(1, 11)), goodbye(10)])
    assert found == Account(10, 10, (), 0, 0, 10)
    assert found.complete(ended=True)


def test_a_lost_tail_shows_by_the_goodbye_or_its_absence() -> None:
    cut = of([*map(line, range(1, 8)), goodbye(10)])
    assert cut.gaps == (Gap(8, 10),)
    assert not cut.complete(ended=True)
    silent = of(map(line, range(1, 8)))
    assert not silent.gaps
    assert (silent.complete(ended=False), silent.complete(ended=True)) == (True, False)


def test_lines_after_a_goodbye_make_another_one_due() -> None:
    assert of([line(1), goodbye(1), line(2)]).goodbye is None
    assert of([line(1), goodbye(1), line(2), goodbye(2)]).goodbye == 2


def test_what_the_journal_dropped_is_a_gap_with_its_reason() -> None:
    found = of([line(1), line(5, _BLUESTONE_LOST="3"), goodbye(5)])
    assert found.gaps == (Gap(2, 4, dropped=3),)


def test_a_number_that_occurs_twice_is_told() -> None:
    assert of([line(1), line(2), line(2), goodbye(2)]).twice == 1


def test_no_program_can_number_lines_or_say_goodbye() -> None:
    forged = [
        json.dumps({"MESSAGE": '{"_BLUESTONE_SEQUENCE":"2"}'}).encode(),
        json.dumps({"MESSAGE": "x", "FIELDS": {"_BLUESTONE_SEQUENCE": "2", "_BLUESTONE_GOODBYE": "9"}}).encode(),
        b'{"FIELDS":{"_BLUESTONE_SEQUENCE":"2"},"MESSAGE":"x"}',
    ]
    assert of([line(1), *forged]) == Account(1, 1, (), 0, 3, None)


def test_sources_that_number_nothing_lack_nothing() -> None:
    found = of([b'{"MESSAGE":"x"}', b"plain"])
    assert (found.numbered, found.unnumbered, found.complete(ended=True)) == (False, 2, True)


@given(st.integers(1, 60), st.data())
def test_every_gap_and_every_lost_tail_is_found(last: int, data: st.DataObject) -> None:
    missing = data.draw(st.sets(st.integers(1, last)))
    lines = [line(number) for number in range(1, last + 1) if number not in missing]
    random.Random(last).shuffle(lines)
    found = of([goodbye(last), *lines])
    assert {number for gap in found.gaps for number in range(gap.first, gap.last + 1)} == missing
    assert (found.found, found.last) == (last - len(missing), last)
    assert found.complete(ended=True) == (not missing)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(1, 12), max_size=8), max_size=4), st.integers(0, 14))
def test_parts_come_to_what_the_whole_comes_to(parts: list[list[int]], last: int) -> None:
    lines = [[line(number) for number in part] for part in parts]
    lines.append([goodbye(last)] if last else [])
    assert account(map(counted, lines)) == of([each for part in lines for each in part])
