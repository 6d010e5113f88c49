"""`[patch]`: what it comes to, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from bluestone.declaration import parse
from bluestone.model.patching import FixWaiver, Freeze, PatchPolicy, Rule, Window
from bluestone.model.problem import Problem, Problems

HEAD = 'project = "p"\n[image]\nbase = "debian:trixie"\n'
WEB = "[servers.web]\n"


def read(text: str) -> PatchPolicy:
    return parse(f"{HEAD}{WEB}[patch]\n{text}", "bluestone.toml", Path("/shop")).patch


def refused(text: str) -> Problem:
    with pytest.raises(Problems) as raised:
        read(text)
    (problem,) = raised.value.problems
    assert problem.mend
    assert problem.place
    assert problem.place.line > HEAD.count("\n") + 1, "the problem has a line of its own"
    return problem


def test_without_it_nothing_is_patched_by_itself_and_the_directive_holds() -> None:
    found = read("")
    assert found == PatchPolicy()
    assert (found.automatic, found.table, found.windows) == (False, "bod-26-04", ())


def test_all_of_it() -> None:
    found = read(
        'automatic = true\nevery = "30m"\ntable = "none"\nexposed = ["web"]\ntime_zone = "UTC"\n'
        'windows = ["Mo-We,Fr 08:00-16:00", "22:00-04:00", "Sa-Mo 00:00-24:00"]\n'
        '[[patch.rules]]\nwithin = "48h"\nexploited = true\n'
        '[[patch.rules]]\nwithin = "upgrade"\nseverity = "low"\nepss = 0.5\nexposed = false\n'
        '[[patch.freezes]]\nbegin = 2026-12-19\nend = "2027-01-03"\nreason = "sales"\nunless = ["overdue"]\n'
        '[[patch.waivers]]\nadvisory = "CVE-2026-1"\nowner = "jane"\nreason = "never called"\n'
        'end = "2026-12-31 18:00"\n'
    )
    assert found.rules == (
        Rule(timedelta(hours=48), exploited=True),
        Rule(None, severity="low", epss=0.5, exposed=False),
    )
    assert found.windows == (
        Window((0, 1, 2, 4), time(8), time(16)),
        Window((0, 1, 2, 3, 4, 5, 6), time(22), time(4)),
        Window((0, 5, 6), time(0), time(0)),
    )
    begin, end = datetime(2026, 12, 19, tzinfo=UTC), datetime(2027, 1, 4, tzinfo=UTC)
    assert found.freezes == (Freeze(begin, end, "sales", ("overdue",)),), "its last day is in it"
    assert found.waivers == (FixWaiver("CVE-2026-1", "jane", "never called", datetime(2026, 12, 31, 18, tzinfo=UTC)),)


WAIVER = {"advisory": '"CVE-2026-1"', "owner": '"jane"', "reason": '"never called"', "end": '"2026-12-31"'}


@pytest.mark.parametrize("left_out", WAIVER)
def test_a_waiver_has_an_owner_a_reason_and_an_end(left_out: str) -> None:
    lines = "\n".join(f"{key} = {value}" for key, value in WAIVER.items() if key != left_out)
    assert f'missing key "{left_out}"' in refused(f"[[patch.waivers]]\n{lines}").what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('windows = ["Mo-Fr 8-16"]', "is not a window"),
        ('windows = ["Monday 08:00-16:00"]', "is not a window"),
        ('windows = ["Mo 24:00-08:00"]', "is not a window"),
        ('time_zone = "Mars/Olympus"', "is not a time zone"),
        ('time_zone = "../../etc/passwd"', "is not a time zone"),
        ('exposed = ["db"]', 'no group is called "db"'),
        ('[[patch.rules]]\nwithin = "0s"', "out of bounds"),
        ('[[patch.rules]]\nwithin = "soon"', "is not a duration"),
        ('[[patch.rules]]\nwithin = "3d"\nseverity = "dire"', "unknown severity"),
        ('[[patch.rules]]\nwithin = "3d"\nepss = 50', "epss"),
        ('[[patch.rules]]\nwithin = "3d"\nkev = true', "unknown key"),
        ('[[patch.rules]]\nwithin = "3d"\n[[patch.rules]]\nwithin = "9d"\nexploited = true', "never reached"),
        ('[[patch.freezes]]\nbegin = "2026-12-24"\nend = "2026-12-20"\nreason = "x"', "before it begins"),
        ('[[patch.freezes]]\nbegin = "2026-02-30"\nend = "2026-12-20"\nreason = "x"', "is not a day"),
        ('[[patch.waivers]]\nadvisory = "C"\nowner = "j"\nreason = "r"\nend = "never"', "is not a day"),
        ('[[patch.waivers]]\nadvisory = "C"\nowner = " "\nreason = "r"\nend = "2026-12-31"', "is no reason"),
        ('every = "1s"', "out of bounds"),
        ('raises = ["requirements.txt"]', "there is no file"),
        ("automatc = true", "unknown key"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(text: str, what: str) -> None:
    assert what in refused(text).what


def test_what_may_be_raised_is_laid_into_the_image(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "requirements.txt").write_text("flask==1.0\n")
    laid = f'{HEAD}files = {{ "/srv/app" = "app" }}\n[patch]\nraises = ["app/requirements.txt"]\n'
    assert parse(laid, "f", tmp_path).patch.raises == ("app/requirements.txt",)
    with pytest.raises(Problems, match="not laid into the image"):
        parse(laid.replace('files = { "/srv/app" = "app" }\n', ""), "f", tmp_path)
