from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.logs.moments import parse_moment
from bluestone.model.problem import Problem

NOW = datetime(2026, 11, 23, 21, 5, 48, 123, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("written", "ago"),
    [
        ("15m ago", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30min ago", timedelta(minutes=90)),
        ("3 days ago", timedelta(days=3)),
        ("2 hours", timedelta(hours=2)),
        ("1 week ago", timedelta(weeks=1)),
        ("  5M AGO ", timedelta(minutes=5)),
        ("now", timedelta(0)),
    ],
)
def test_spans_are_counted_back_from_now(written: str, ago: timedelta) -> None:
    assert parse_moment(written, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("today", "2026-11-23T00:00:00+01:00"),
        ("yesterday", "2026-11-22T00:00:00+01:00"),
        ("14:30", "2026-11-23T14:30:00+01:00"),
        ("14:30:05", "2026-11-23T14:30:05+01:00"),
        ("2026-11-20", "2026-11-20T00:00:00+01:00"),
        ("2026-11-20 08:00", "2026-11-20T08:00:00+01:00"),
        ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00+00:00"),
        ("2026-11-20T08:00:00.5-05:00", "2026-11-20T08:00:00.500000-05:00"),
    ],
)
def test_dates_and_times(written: str, iso: str) -> None:
    assert parse_moment(written, NOW).isoformat() == iso


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ago",
        "soon",
        "15",
        "15x",
        "-5m",
        "2026-13-01",
        "25:00",
        "999999999w",
        "1h" * 100,
        "2026-11-20 lunch",
    ],
)
def test_anything_else_is_refused_with_examples(written: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_moment(written, NOW)
    assert "15m ago" in refused.value.mend


@given(st.text(max_size=80))
def test_any_text_is_a_moment_or_a_problem(written: str) -> None:
    try:
        moment = parse_moment(written, NOW)
    except Problem:
        return
    assert moment.tzinfo is not None


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_python_writes_is_read_back(moment: datetime) -> None:
    assert parse_moment(moment.isoformat(), NOW) == moment


@given(
    st.integers(0, 10**6),
    st.sampled_from(["s", "m", "h"]),
    st.sampled_from(["", " "]),
    st.sampled_from(["", " ago"]),
)
def test_every_spelling_of_a_span(amount: int, unit: str, space: str, ago: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600}[unit] * amount
    assert parse_moment(f"{amount}{space}{unit}{ago}", NOW) == NOW - timedelta(seconds=seconds)
