"""What a person sees of hours and money."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bluestone.app.project import Project
from bluestone.cli.main import bluestone
from bluestone.fleet.controller.journal import Entry
from bluestone.host.paths import Home
from bluestone.model.cost import Price, PricesFrom
from bluestone.model.generation import ServerConfig
from bluestone.model.problem import Problem

FILE = """\
project = "shop"
cost = { prices = "prices.toml" }
[image]
base = "debian:trixie"
[servers.web]
count = 2
ports = ["18080:80"]
[servers.web.hours]
open = "Mo-Su 08:00-18:00"
zone = "Europe/Berlin"
"""
PRICES = 'currency = "EUR"\ndated = 2020-01-01\n[[price]]\nprovider = "podman"\nhour = "1.00"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bluestone.toml").write_text(FILE)
    (tmp_path / "prices.toml").write_text(PRICES)
    home = Home(tmp_path / "s", tmp_path / "r")
    monkeypatch.setattr(Home, "find", classmethod(lambda cls: home))
    return Project.open(Path("bluestone.toml"))


def run(*words: str) -> str:
    ran = CliRunner().invoke(bluestone, words, standalone_mode=False)
    if ran.exception:
        raise ran.exception
    return ran.output


def test_the_days_to_come_are_drawn(project: Project) -> None:
    shown = run("hours", "show", "--next", "3d")
    lines = [line for line in shown.splitlines() if "08:00-18:00 2" in line]
    assert len(lines) in (3, 4), "today, if it is not over, and each day to come to its end"
    days = [line for line in shown.splitlines() if re.match(r"  \w{3} \d\d \w{3} ", line)]
    assert all("08:00-18:00 2" in line for line in days[1:])
    assert "        ██████████      " in lines[-1]
    assert "on the clock of Europe/Berlin" in shown
    data = json.loads(run("hours", "show", "--next", "3d", "--json"))
    assert {span["count"] for span in data[0]["spans"]} == {0, 2}


def test_exceptions_are_recorded_with_who_and_why(project: Project) -> None:
    assert "until" in run("keep", "up", "web", "until", "90m", "--because", "release")
    assert "kept up by" in run("hours", "show")
    assert "release" in run("hours", "list")
    assert json.loads(run("hours", "list", "--json"))[0]["group"] == "web"
    assert "the hours hold again" in run("keep", "hours", "web")
    assert "no exception" in run("keep", "hours", "web")
    with pytest.raises(Problem, match='no group is called "db"'):
        run("keep", "up", "db", "until", "90m")
    with pytest.raises(Problem, match="no time"):
        run("keep", "down", "until", "tea")


def a_server_of_an_hour(project: Project) -> None:
    """One that was created in an earlier month, and served for 59 of its 60 minutes."""
    generation = project.journal.generation("web", "sha256:" + "a" * 64, ServerConfig("podman", (80,)), keep=True)
    begin = datetime(2026, 3, 2, 8, tzinfo=UTC)
    moments: list[tuple[int, str, dict[str, Any]]] = [
        (0, "server.create", {"generation": generation.number, "image": generation.image}),
        (0, "server.created", {"verb": "create"}),
        (60, "server.attached", {"verb": "attach"}),
        (3600, "server.destroyed", {"verb": "destroy"}),
    ]
    for second, kind, data in moments:
        entry = Entry(kind, "web", "web-1-aaaaaaaa-1", "for a test", data)
        project.journal.record(begin + timedelta(seconds=second), [entry])


def test_an_exception_ends_by_the_clock_of_each_group(project: Project) -> None:
    other = '[servers.far]\n[servers.far.hours]\nopen = "Mo-Su 08:00-18:00"\nzone = "America/Lima"\n'
    project.file.write_text(FILE + other)
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    for words in (("web", "far"), ()):
        said = run("keep", "down", *words, "until", f"{day}T12:00")
        assert "web: kept down" in said
        assert "17:00 UTC" in said, "noon in Lima"
        assert "11:00 UTC" in said or "10:00 UTC" in said, "noon in Berlin"
    run("keep", "hours")
    assert "kept down" not in run("hours", "show")


def test_storage_is_counted_in_every_form(project: Project) -> None:
    Path("prices.toml").write_text(
        f'{PRICES}[[storage]]\nprovider = "podman"\nkind = "volume"\ngib_month = "7.30"\n'
        '[[storage]]\nprovider = "podman"\nkind = "snapshot"\ngib_month = "0.73"\n'
    )
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    data = {"volume": "db-1.data", "size": 10 << 30, "provider": "podman"}
    project.journal.record(begin, [Entry("volume.made", "db", message="db-1.data", data=data)])
    away = {"volume": "db-1.data", "bytes": 1 << 30, "ended": (begin + timedelta(hours=100)).isoformat()}
    project.journal.record(begin + timedelta(hours=101), [Entry("volume.snapshot", "db", data=away)])
    month = ("cost", "--month", "2026-10")
    shown = run(*month, "--by", "cause")
    assert re.search(r"volume +10\.00\n", shown)
    assert re.search(r"snapshot +0\.64\n", shown)
    assert re.search(r"always on +74\.40\n", shown), "as if the volume had stayed one"
    assert json.loads(run(*month, "--format", "json"))["storage"] == {"volume": "10.00", "snapshot": "0.64"}
    rows = list(csv.DictReader(io.StringIO(run(*month, "--format", "csv"))))
    assert [(row["cause"], row["hours"], row["gib"], row["price_of_a_gib_month"]) for row in rows] == [
        ("volume", "100.000000", "10.000000", "7.30"),
        ("snapshot", "644.000000", "1.000000", "0.73"),
    ]
    assert "<td>volume</td><td></td><td>10.00</td>" in run(*month, "--by", "cause", "--format", "html")
    assert re.search(r"storage +10\.64", run(*month, "--by", "image"))


def test_a_month_in_every_form(project: Project) -> None:
    a_server_of_an_hour(project)
    text = run("cost", "--month", "2026-03")
    assert "1.00" in next(line for line in text.splitlines() if "total" in line)
    by_cause = json.loads(run("cost", "--month", "2026-03", "--by", "cause", "--format", "json"))
    assert {row["what"]: row["amount"] for row in by_cause["rows"]} == {"overlap": "0.02", "served": "0.98"}
    # Two servers from 8 o'clock on the second of March until the end of the month.
    assert by_cause["always_on"] == str(2 * (30 * 24 - 8)) + ".00"
    lines = list(csv.DictReader(io.StringIO(run("cost", "--month", "2026-03", "--format", "csv"))))
    assert [(line["cause"], line["price_since"]) for line in lines] == [
        ("overlap", "2020-01-01"),
        ("served", "2020-01-01"),
    ]
    page = run("cost", "--month", "2026-03", "--format", "html")
    assert page.startswith("<!doctype html>")
    assert "<svg" in page
    assert "0.00" in run("cost", "--month", "2026-02")


def test_the_chart_alone_as_vectors_and_as_points(project: Project) -> None:
    a_server_of_an_hour(project)
    month = ("cost", "--month", "2026-03", "--format")
    assert "prefers-color-scheme" in run(*month, "svg")
    assert "saved 1423.00 (99.9%)" in run(*month, "svg", "--dark")
    drawn = CliRunner().invoke(bluestone, [*month, "png", "--dark"], standalone_mode=False)
    assert drawn.stdout_bytes.startswith(b"\x89PNG")
    with pytest.raises(click.UsageError, match="--dark is for"):
        run(*month, "html", "--dark")


def test_a_group_that_only_a_person_starts_is_never_shown_nor_forecast_as_up(project: Project) -> None:
    Path("bluestone.toml").write_text(f"{FILE}never_start_alone = true\n")
    assert "08:00-18:00" not in run("hours", "show")
    assert json.loads(run("cost", "--what-if", "bluestone.toml", "--format", "json"))["now"] == "0.00"


SOURCE = (
    '[[source]]\nkind = "told"\nprovider = "podman"\nregion = "here"\nsizes = { small = { sku = "s", cpus = 1 } }\n'
)


def test_prices_are_fetched_when_asked_and_the_last_good_ones_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str | Problem] = ["0.25", Problem("it does not answer"), "0.5"]

    class Told:
        def prices(self, asked: PricesFrom, currency: str, now: datetime) -> list[Price]:
            answer = answers.pop(0)
            if isinstance(answer, Problem):
                raise answer
            assert currency == "EUR"
            size = asked.sizes[0]
            return [Price(now.date(), asked.provider, Decimal(answer), size.name, size.cpus, size.memory)]

    monkeypatch.setattr("bluestone.app.wiring.price_source", lambda _: Told())
    with pytest.raises(Problem, match="names no source"):
        run("cost", "--refresh-prices")
    Path("prices.toml").write_text(PRICES + SOURCE)
    assert "of podman are of" not in run("cost")
    assert "podman: 1 prices are new" in run("cost", "--refresh-prices")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert f"the prices of podman are of {today}, today" in run("cost")
    assert json.loads(run("cost", "--format", "json"))["prices_fetched"] == {"podman": today}
    failed = CliRunner().invoke(bluestone, ["cost", "--refresh-prices"], standalone_mode=False)
    assert failed.exit_code == 1
    assert "it does not answer" in failed.stderr
    assert f"left: the prices of podman are of {today}" in failed.stderr
    assert f"of {today}, today" in run("cost")
    assert "podman: 1 prices are new" in run("cost", "--refresh-prices")
    (file,) = (project.state / "prices").iterdir()
    assert 'hour = "0.5"' in file.read_text()


def test_another_declaration_is_forecast(project: Project) -> None:
    other = Path("other.toml")
    other.write_text(FILE.replace("count = 2", "count = 4"))
    found = json.loads(run("cost", "--what-if", str(other), "--format", "json"))
    now, then = float(found["now"]), float(found["then"])
    # Ten hours a day, and five minutes of lead for each opening.
    assert 2 * 30 * 10 <= now <= 2 * 30 * 10.2
    assert then == pytest.approx(2 * now, abs=0.02)
    assert "total" in run("cost", "--what-if", str(other))


def test_what_cannot_be_counted_is_explained(project: Project) -> None:
    with pytest.raises(Problem, match="no month"):
        run("cost", "--month", "March")
    Path("prices.toml").write_text("currency = 1")
    with pytest.raises(Problem, match="currency"):
        run("cost")
    Path("bluestone.toml").write_text(FILE.replace('cost = { prices = "prices.toml" }\n', ""))
    with pytest.raises(Problem, match="no prices are declared"):
        run("cost")
