from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.declaration.fault import Fault
from bluestone.declaration.quantities import amount, cpus, duration, duration_between, size
from bluestone.model.group import Amount


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("10 s", 10),
        ("2d1h1m1s1ms", 2 * 86400 + 3661.001),
        ("0s", 0),
    ],
)
def test_durations_as_people_write_them(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", " ", "90", "s", "-1s", "1m1h", "1s1s", "1 year", "1e3s", "\uff11s", "99999999s"])
def test_what_is_no_duration_is_refused_with_a_mend(text: str) -> None:
    with pytest.raises(Fault) as refused:
        duration(text)
    assert "90s" in refused.value.mend


@given(st.integers(0, 30), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_written_duration_is_read_back(days: int, hours: int, minutes: int, seconds: int, millis: int) -> None:
    text = f"{days}d{hours}h{minutes}m{seconds}s{millis}ms"
    expected = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis)
    assert duration(text) == expected


@given(st.text("0123456789.hms d"))
def test_any_text_is_a_duration_or_a_fault(text: str) -> None:
    try:
        assert duration(text) >= timedelta()
    except Fault as fault:
        assert fault.mend


def test_bounds_are_inclusive_and_named() -> None:
    read = duration_between("1s", "24h")
    assert read("1s") == timedelta(seconds=1)
    assert read("1d") == timedelta(days=1)
    for text in ("999ms", "24h1ms"):
        with pytest.raises(Fault) as refused:
            read(text)
        assert "from 1s to 24h" in refused.value.mend


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("256MiB", 256 * 1024**2),
        ("1GB", 10**9),
        ("512k", 512 * 1024),
        ("512 K", 512 * 1024),
        ("1.5GiB", 1536 * 1024**2),
        ("2t", 2 * 1024**4),
        ("100b", 100),
    ],
)
def test_sizes_as_people_write_them(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "12", "MiB", "-1k", "1 PB", "1e3k", "1.k", "1kk", "1Mi"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Fault):
        size(text)


@given(st.integers(1, 10**6), st.sampled_from("kMGT"))
def test_binary_units_are_larger_than_decimal_ones(number: int, letter: str) -> None:
    assert size(f"{number}{letter}iB") == size(f"{number}{letter}") > size(f"{number}{letter}B")


def test_amounts_are_numbers_or_percentages() -> None:
    assert amount(3) == Amount(3)
    assert amount("25%") == Amount(25, percent=True)
    assert amount("100 %") == Amount(100, percent=True)
    assert amount("0%") == Amount(0, percent=True)


@pytest.mark.parametrize("value", [-1, 1001, 1.5, True, "3", "101%", "-1%", "1.5%", "%", "007%", [], {}])
def test_what_is_no_amount_is_refused(value: object) -> None:
    with pytest.raises(Fault):
        amount(value)


def test_cores_are_whole_or_parts() -> None:
    assert cpus(2) == 2.0
    assert cpus(0.5) == 0.5


@pytest.mark.parametrize("value", [0, -1, 0.001, 1025, float("nan"), float("inf"), True, "2", 10**400])
def test_what_is_no_number_of_cores_is_refused(value: object) -> None:
    with pytest.raises(Fault):
        cpus(value)
