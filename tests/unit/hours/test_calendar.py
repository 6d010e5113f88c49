from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.hours.calendar import Timetable, instant_of, timetable
from bluestone.model.hours import Hours, Period
from bluestone.model.openings import Misread, check

BERLIN = ZoneInfo("Europe/Berlin")


WALLS = st.datetimes(datetime(2020, 1, 1), datetime(2036, 1, 1))  # noqa: DTZ001 - a wall clock's


def table(*periods: tuple[str, int], zone: str = "UTC", days: tuple[date, ...] = (), **more: int) -> Timetable:
    hours = Hours(tuple(Period(when, count) for when, count in periods), zone=zone, minimum=more.get("minimum", 0))
    return timetable(hours, frozenset(days), date(2026, 1, 1), date(2027, 1, 1))


def at(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def spans(found: Timetable, *first: int) -> list[tuple[str, str, int]]:
    """The stretches with servers on one day and the next, in UTC."""
    begin = datetime(*first, tzinfo=UTC)  # type: ignore[misc, arg-type]
    return [
        (f"{s.begin:%d %H:%M}", f"{s.end:%d %H:%M}", s.count)
        for s in found.spans()
        if s.count and begin <= s.begin < begin + timedelta(days=1)
    ]


def test_counts_by_period_and_a_minimum() -> None:
    found = table(("Mo-Fr 08:00-18:00", 3), ("Sa 10:00-14:00", 2), minimum=1)
    assert [found.count_at(at(2026, 11, 30, hour)) for hour in (7, 8, 17, 18)] == [1, 3, 3, 1]
    assert found.count_at(at(2026, 12, 5, 12)) == 2
    assert found.next_change(at(2026, 11, 30, 9)) == at(2026, 11, 30, 18)
    assert found.most_between(at(2026, 11, 30, 7), at(2026, 11, 30, 8)) == 1
    assert found.most_between(at(2026, 11, 30, 7), at(2026, 11, 30, 8) + 1) == 3
    assert list(found.openings(at(2026, 12, 4, 0), at(2026, 12, 6))) == [
        (at(2026, 12, 4, 8), 3),
        (at(2026, 12, 5, 10), 2),
    ]


def test_where_periods_overlap_the_larger_count_holds() -> None:
    found = table(("Mo-Fr 08:00-18:00", 1), ("Mo 09:00-12:00", 3))
    assert [found.count_at(at(2026, 11, 30, hour)) for hour in (8, 9, 11, 12, 18)] == [1, 3, 3, 1, 0]


def test_a_window_belongs_to_the_day_on_which_it_begins() -> None:
    found = table(("Mo-Fr 22:00-06:00; PH off", 1), days=(date(2026, 12, 2),))
    assert spans(found, 2026, 12, 1) == [("01 22:00", "02 06:00", 1)], "a holiday does not end the night before it"
    assert spans(found, 2026, 12, 2) == []
    assert spans(found, 2026, 12, 3) == [("03 22:00", "04 06:00", 1)]


def test_windows_over_midnight_beside_others() -> None:
    found = table(("Mo-Fr 07:00-12:00,20:00-02:00; Sa 20:00-26:30; We off", 1))
    assert spans(found, 2026, 12, 1) == [("01 07:00", "01 12:00", 1), ("01 20:00", "02 02:00", 1)]
    assert spans(found, 2026, 12, 2) == []
    assert spans(found, 2026, 12, 5) == [("05 20:00", "06 02:30", 1)]


def test_two_holidays_in_a_row_and_hours_of_their_own() -> None:
    days = (date(2026, 12, 24), date(2026, 12, 25))
    found = table(("Mo-Fr 08:00-18:00; PH 10:00-12:00", 2), days=days)
    assert spans(found, 2026, 12, 24) == [("24 10:00", "24 12:00", 2)]
    assert spans(found, 2026, 12, 25) == [("25 10:00", "25 12:00", 2)]
    assert spans(found, 2026, 12, 23) == [("23 08:00", "23 18:00", 2)]
    assert spans(found, 2026, 12, 31) == [("31 08:00", "31 18:00", 2)], "the same weekday in another week is none"


def test_a_quoted_ph_is_no_holiday() -> None:
    found = table(('Mo-Fr 08:00-18:00 "PH off"', 1), days=(date(2026, 12, 2),))
    assert found.count_at(at(2026, 12, 2, 9)) == 1


@pytest.mark.parametrize(
    ("when", "day", "expected"),
    [
        # Spring: 02:00 to 03:00 does not exist, and 03:00 is 01:00 UTC.
        ("Su 02:30-04:00", (2026, 3, 29), [("29 01:00", "29 02:00", 1)]),
        ("Su 01:00-02:30", (2026, 3, 29), [("29 00:00", "29 01:00", 1)]),
        ("Su 02:10-02:50", (2026, 3, 29), []),
        # Autumn: 02:00 to 03:00 is there twice: 00:00 to 02:00 UTC.
        ("Su 02:30-04:00", (2026, 10, 25), [("25 00:30", "25 03:00", 1)]),
        ("Su 01:00-02:30", (2026, 10, 25), [("24 23:00", "25 01:30", 1)]),
        ("Su 02:10-02:50", (2026, 10, 25), [("25 00:10", "25 01:50", 1)]),
    ],
)
def test_where_the_clock_is_set_servers_are_up_in_doubt(
    when: str, day: tuple[int, int, int], expected: list[tuple[str, str, int]]
) -> None:
    before = datetime(*day, tzinfo=UTC) - timedelta(hours=2)
    found = table((when, 1), zone="Europe/Berlin").spans()
    stretch = [
        (f"{s.begin:%d %H:%M}", f"{s.end:%d %H:%M}", s.count)
        for s in found
        if s.count and before <= s.begin < before + timedelta(days=1)
    ]
    assert stretch == expected


@given(WALLS, st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe"]))
def test_an_instant_shows_the_time_it_was_made_of_unless_that_is_skipped(wall: datetime, name: str) -> None:
    wall, zone = wall.replace(microsecond=0), ZoneInfo(name)
    first, last = instant_of(wall, zone), instant_of(wall, zone, ending=True)
    assert first <= last
    shown = [datetime.fromtimestamp(each, zone).replace(tzinfo=None, fold=0) for each in (first, last)]
    if shown[0] == wall:
        assert shown[1] == wall
        # Whatever the clock shows a second earlier, it is less: or it has shown this time before.
        assert datetime.fromtimestamp(first - 1, zone).replace(tzinfo=None, fold=0) != wall
    else:
        assert first == last
        assert datetime.fromtimestamp(first - 1, zone).replace(tzinfo=None) < wall < shown[0]


def test_nothing_is_said_of_times_beyond_the_table() -> None:
    found = table(("Mo-Fr 08:00-18:00", 3))
    for when in (at(2025, 12, 31), at(2027, 1, 1)):
        with pytest.raises(LookupError):
            found.count_at(when)


@pytest.mark.parametrize(
    ("when", "what"),
    [
        ("Mo-Fr 8-18", 'from "8-18" on'),
        ("Mo sunrise-18:00", "where the sun has its sunrise"),
        ("Mo-Fr 08:00-18:00; SH off", "school holidays"),
        ("PH -1 day off", "before or after a holiday"),
        ("PH Mo-Fr 08:00-10:00", "without a comma"),
        ("Fr 22:00-06:00; Sa 05:00-10:00", "until 06:00, stand beside others"),
        ("Fr 22:00-06:00; Su", "until 06:00, stand beside others"),
        ("", "cannot be read"),
    ],
)
def test_rules_that_cannot_be_taken(when: str, what: str) -> None:
    with pytest.raises(Misread, match=what):
        check(when)
