"""`simulate` and `explain` from outside."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

import command_line
from bluestone.app.fleet import simulate as use_case
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry
from bluestone.model.problem import Problem
from bluestone.simulation import checks
from command_line import Ended

EXAMPLE = Path(__file__).parents[3] / "examples" / "web" / "bluestone.toml"


def bluestone(tmp_path: Path, *arguments: str) -> Ended:
    return command_line.bluestone(EXAMPLE.parent, tmp_path / "home", *arguments)


def test_simulate_shows_capacity_and_draws_it(tmp_path: Path) -> None:
    picture = tmp_path / "capacity.svg"
    ran = bluestone(tmp_path, "simulate", "--faults", "slow,kill", "--histories", "3", "--picture", str(picture))
    assert ran.returncode == 0, ran.stderr
    assert "3 histories from seed 0, faults: slow, kill" in ran.stdout
    assert "3 (floor 3)" in ran.stdout, "neither slow calls nor a killed controller takes a server away"
    assert "violations: none" in ran.stdout
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_same_seed_gives_the_same_history(tmp_path: Path) -> None:
    """Also in another process, where texts have other hashes."""
    arguments = ["simulate", "--seed", "5", "--histories", "1", "--json"]
    here = bluestone(tmp_path, *arguments).stdout
    elsewhere = subprocess.run(
        [sys.executable, "-m", "bluestone", *arguments], cwd=EXAMPLE.parent, capture_output=True, text=True, check=True
    ).stdout
    assert here == elsewhere
    assert json.loads(here)["histories"] == 1


def test_a_fault_that_there_is_not_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    ran = bluestone(tmp_path, "simulate", "--faults", "zones")
    assert ran.returncode == 1
    assert "did you mean zone" in ran.stderr


def test_what_does_not_hold_is_told_with_its_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path))
    monkeypatch.setattr(checks, "cap_of", lambda group: group.count)
    found = use_case.simulate(Project.open(EXAMPLE), ["slow"], 7, 2)
    assert [broken.seed for broken in found.broken] == [7, 8]
    assert "at most 3 may" in found.broken[0].what


def test_explain_knows_servers_events_and_what_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "home"))
    project = Project.open(EXAMPLE)
    at = datetime(2026, 11, 23, 8, tzinfo=UTC)
    name, data = "web-1-aaaaaaaa-1", {"slot": 1, "incarnation": 1, "generation": 1, "image": "sha256:" + "a" * 64}
    project.journal.record(
        at,
        [
            Entry(
                "rollout.started", "web", message="to generation 1, rolling", data={"plan": "0123456789ab", "by": "x"}
            ),
            Entry("server.create", "web", name, "generation 1 has 0 of 3 servers", data),
            Entry("server.created", "web", name, "generation 1 has 0 of 3 servers", {"verb": "create", "took_s": 1}),
            Entry("server.destroy", "web", name, "more than the 0 servers declared"),
            Entry("server.destroyed", "web", name, "more than the 0 servers declared", {"verb": "destroy"}),
        ],
    )
    project.journal.close()
    told = bluestone(tmp_path, "explain", name)
    assert told.returncode == 0, told.stderr
    assert "destroyed 2026-11-23 08:00:00 UTC: more than the 0 servers declared" in told.stdout
    story = json.loads(bluestone(tmp_path, "explain", name, "--json").stdout)["stories"][0]
    assert story["name"] == name
    assert len(story["events"]) == 4
    assert "1 created, 1 destroyed" in bluestone(tmp_path, "explain", "0123456789ab").stdout
    assert "it answers event 2" in bluestone(tmp_path, "explain", "3").stdout
    wrong = bluestone(tmp_path, "explain", "web-1-aaaaaaab-1")
    assert wrong.returncode == 1
    assert f"did you mean {name}?" in wrong.stderr
    assert "events go up to 5" in bluestone(tmp_path, "explain", "77").stderr


def test_nothing_to_simulate_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "home"))
    text = EXAMPLE.read_text().replace("count = 3", "count = 0")
    empty = tmp_path / "bluestone.toml"
    empty.write_text(text[: text.index("[image.files]")] + text[text.index("[servers.web]") :])
    with pytest.raises(Problem, match="nothing to simulate"):
        use_case.simulate(Project.open(empty), [], 0, 1)
