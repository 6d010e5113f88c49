from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from bluestone.hours.days import Doubt, Holidays, holidays_of
from bluestone.model.hours import Hours, Period

ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//
{events}
END:VCALENDAR
"""
YEARLY = """BEGIN:VEVENT
UID:1
DTSTART;VALUE=DATE:20200517
DTEND;VALUE=DATE:20200519
RRULE:FREQ=YEARLY
SUMMARY:Founders' days
END:VEVENT"""
TIMED = """BEGIN:VEVENT
UID:2
DTSTART:20260601T100000Z
DTEND:20260601T110000Z
SUMMARY:A meeting
END:VEVENT"""


def hours(*calendars: Path, country: str = "", region: str = "") -> Hours:
    periods = (Period("Mo-Fr 08:00-18:00; PH off", 1),)
    return Hours(periods, country=country, region=region, calendars=tuple(str(path) for path in calendars))


def test_regions_have_days_of_their_own() -> None:
    epiphany = date(2026, 1, 6)
    assert epiphany in holidays_of(hours(country="DE", region="BW"), range(2026, 2027)).days
    assert epiphany not in holidays_of(hours(country="DE", region="BE"), range(2026, 2027)).days


def test_whole_days_of_a_calendar_are_holidays_in_every_year(tmp_path: Path) -> None:
    file = tmp_path / "company.ics"
    file.write_text(ICS.format(events=f"{YEARLY}\n{TIMED}"))
    found = holidays_of(hours(file), range(2026, 2028))
    assert found.days == {date(year, 5, day) for year in (2026, 2027) for day in (17, 18)}
    assert not found.doubts


def test_a_calendar_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "company.ics"
    file.write_text(ICS.format(events=YEARLY))
    assert holidays_of(hours(file), range(2026, 2027)).days
    file.write_text(ICS.format(events=TIMED))
    os.utime(file, ns=(1, 1))
    assert not holidays_of(hours(file), range(2026, 2027)).days


def test_what_cannot_be_read_is_a_doubt(tmp_path: Path) -> None:
    missing, broken = tmp_path / "no.ics", tmp_path / "broken.ics"
    broken.write_text("BEGIN:VCALENDAR\nBEGIN:VEVENT\n")
    doubts = holidays_of(hours(missing, broken), range(2026, 2027)).doubts
    assert [f"{file} cannot be read" in doubt.what for file, doubt in zip((missing, broken), doubts, strict=True)] == [
        True
    ] * 2


def test_years_whose_holidays_are_not_known_are_said() -> None:
    found = holidays_of(hours(country="TR"), range(2099, 2104))
    assert found.doubts == (Doubt("the holidays of TR in 2101 to 2103 are not known", date(2101, 1, 1)),)
    assert found.days


def test_rules_that_speak_of_no_holidays_need_none() -> None:
    assert not holidays_of(Hours((Period("Mo-Fr 08:00-18:00", 1),), country="DE"), range(2026, 2027)).days


@pytest.mark.parametrize("rule", ["FREQ=SECONDLY", "FREQ=hourly;COUNT=3", "FREQ=DAILY;BYHOUR=1,2", "FREQ=OFTEN"])
def test_a_calendar_whose_events_repeat_without_measure_is_a_doubt(tmp_path: Path, rule: str) -> None:
    file = tmp_path / "company.ics"
    file.write_text(ICS.format(events=YEARLY.replace("FREQ=YEARLY", rule)))
    (doubt,) = holidays_of(hours(file), range(2026, 2028)).doubts
    assert str(file) in doubt.what


def test_many_events_that_repeat_every_day_are_a_doubt_and_many_birthdays_are_none(tmp_path: Path) -> None:
    file = tmp_path / "company.ics"

    def found(rule: str, number: int) -> Holidays:
        event = YEARLY.replace("FREQ=YEARLY", rule)
        file.write_text(ICS.format(events="\n".join(event.replace("UID:1", f"UID:{n}") for n in range(number))))
        return holidays_of(hours(file), range(2026, 2028))

    assert "repeat too often" in found("FREQ=DAILY", 300).doubts[0].what
    birthdays = found("FREQ=YEARLY", 100)
    assert (len(birthdays.days), birthdays.doubts) == (4, ())
