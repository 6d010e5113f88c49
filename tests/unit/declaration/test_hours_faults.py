from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bluestone.declaration import parse
from bluestone.model.hours import Hours, Period
from bluestone.model.problem import Problems

HEAD = 'project = "p"\n[image]\nbase = "debian:trixie"\n'


def hours_of(lines: str, directory: Path = Path("/")) -> Hours | None:
    text = f'{HEAD}[servers.web]\ncount = 3\nports = ["8080:80"]\n{lines}'
    return parse(text, "bluestone.toml", directory).groups[0].hours


def wrong(lines: str, directory: Path = Path("/")) -> list[tuple[str, str, str]]:
    """What is wrong: the key, what, and how to mend it."""
    with pytest.raises(Problems) as refused:
        hours_of(lines, directory)
    found = refused.value.problems
    assert all(problem.place and problem.place.line > 4 for problem in found)
    return [(problem.place.key if problem.place else "", problem.what, problem.mend) for problem in found]


def test_the_short_form() -> None:
    assert hours_of('hours = "Mo-Fr 08:00-18:00"') == Hours((Period("Mo-Fr 08:00-18:00", 3),))
    assert hours_of("") is None


def test_the_long_form() -> None:
    found = hours_of(
        '[servers.web.hours]\nopen = "Mo-Fr 08:00-18:00; PH off"\nzone = "Europe/Berlin"\ncountry = "DE"\n'
        'region = "BW"\nperiods = { "Sa 10:00-14:00" = 1 }\nlead = "3m"\nready_by = "5m"\n'
    )
    assert found is not None
    assert found.periods == (Period("Mo-Fr 08:00-18:00; PH off", 3), Period("Sa 10:00-14:00", 1))
    assert (found.zone, found.country, found.region) == ("Europe/Berlin", "DE", "BW")
    assert (found.lead, found.ready_by) == (timedelta(minutes=3), timedelta(minutes=5))


@pytest.mark.parametrize(
    ("lines", "what", "mend"),
    [
        ('hours = { open = "Mo-Fr 08:00-18:00", zone = "Europe/Belin" }', "no time zone", '"Europe/Berlin"?'),
        ('hours = { open = "Mo-Fr 08:00-18:00; PH off", country = "XX" }', 'country "XX" are not known', "ISO 3166"),
        ('hours = { open = "Mo-Fr 08:00-18:00; PH off", country = "DE", region = "XY" }', "no region of DE", "BW"),
        ('hours = { open = "Mo-Fr 08:00-18:00; PH off", region = "BW" }', "part of a country", "add country"),
        ('hours = "Mo-Fr 08:00-18:00; PH off"', "nothing says whose", "add country"),
        ('hours = { open = "Mo-Fr 08:00-18:00", country = "DE" }', "they would change nothing", "PH off"),
        ('hours = "2020 Mo-Fr 08:00-18:00"', "never opens", "correct the times"),
        ('hours = "off"', "never opens", "correct the times"),
        ('hours = "24/7"', "always open", "leave hours out"),
        ('hours = "Mo-Su 00:00-24:00"', "always open", "leave hours out"),
        ('hours = "Mo-Fr 8-18"', "cannot be read", "write them like"),
        (
            'hours = { open = "Mo-Fr 08:00-18:00", periods = { "We 17:00-20:00" = 1 } }',
            "17:00 both 3 and 1 servers would be wanted",
            "not overlap",
        ),
        (
            'hours = { open = "Mo-Fr 08:00-18:00", periods = { "Sa 10:00-14:00" = 4 } }',
            "more than count",
            "raise count",
        ),
        ('hours = { open = "Mo-Fr 08:00-18:00", minimum = 3 }', "never sleep (3)", "smaller minimum"),
        ('hours = { open = "Mo-Fr 08:00-18:00", after = ["db"] }', 'no group is called "db"', "choices: web"),
        ('hours = { open = "Mo-Fr 08:00-18:00", after = ["web"] }', "wait for each other", "leave one"),
        (
            'hours = { open = "Mo-Fr 08:00-18:00", on_request = "page", never_start_alone = true }',
            "only a person may",
            "leave out one",
        ),
        ('hours = { open = "Mo-Fr 08:00-18:00; PH off", calendars = ["no.ics"] }', "there is no file", "make it"),
        ('hours = { open = "Mo-Fr 08:00-18:00", calendars = ["no.txt"] }', "path of an ICS file", ".ics"),
    ],
)
def test_what_is_wrong_is_said_with_its_mend(lines: str, what: str, mend: str) -> None:
    found = wrong(lines)
    assert any(what in said and mend in help_ for _, said, help_ in found), found


@pytest.mark.parametrize(
    ("lead", "what", "mend"),
    [
        ('"soon"', '"soon" is not a duration', '"90s"'),
        ('"10h"', '"10h" is out of bounds', "from 1s to 4h"),
        ("5", "lead must be a string, not an integer", 'lead = "3m"'),
    ],
)
def test_a_lead_that_cannot_be_is_one_mistake(lead: str, what: str, mend: str) -> None:
    ((_, said, help_),) = wrong(f'hours = {{ open = "Mo-Fr 08:00-18:00", lead = {lead} }}')
    assert said == what
    assert mend in help_


def test_groups_that_wait_for_each_other() -> None:
    lines = (
        'hours = { open = "Mo-Fr 08:00-18:00", after = ["db"] }\n'
        '[servers.db]\nhours = { open = "Mo-Fr 08:00-18:00", after = ["web"] }\n'
    )
    assert [key for key, what, _ in wrong(lines) if "wait for each other" in what] == [
        "servers.web.hours.after[0]",
        "servers.db.hours.after[0]",
    ]


def test_a_group_that_only_a_person_starts_cannot_come_first() -> None:
    lines = (
        'hours = { open = "Mo-Fr 08:00-18:00", after = ["db"] }\n'
        '[servers.db]\nhours = { open = "Mo-Fr 08:00-18:00", never_start_alone = true }\n'
    )
    assert "only a person may start db" in wrong(lines)[0][1]


def test_a_page_is_no_answer_to_a_connection() -> None:
    text = (
        f'{HEAD}[servers.db]\nports = ["5432:5432/tcp"]\nhours = {{ open = "Mo 08:00-09:00", on_request = "page" }}\n'
    )
    with pytest.raises(Problems, match="gets no page"):
        parse(text, "bluestone.toml", Path("/"))
