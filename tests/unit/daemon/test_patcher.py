"""Patching by itself: when it looks, what it hands to the leader, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field
from msgspec.structs import replace

from bluestone.app.patch import patch as patching
from bluestone.app.patch.outlook import Outlook
from bluestone.app.project import Project
from bluestone.daemon.job import Job
from bluestone.daemon.patcher import AGAIN, BY, Patcher
from bluestone.model.exposure import Assessment
from bluestone.model.problem import Problem
from bluestone.patch.loop import Phase
from bluestone.patch.policy import Permission

NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Leads(Struct):
    """What a patcher sees of a leader."""

    project: Project
    works_on: str = ""
    epoch: int = 1
    jobs: list[Job] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)


class Lines:
    """A log."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, _level: str, kind: str, text: str, **_: object) -> None:
        self.said.append(f"{kind}: {text}")

    def entry(self, _: object) -> None:
        """Hear of a journal entry."""


@pytest.fixture
def leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leads:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "h"))
    (tmp_path / "bluestone.toml").write_text(
        'project = "shop"\n[image]\nbase = "debian:trixie"\n[patch]\nautomatic = true\n'
    )
    return Leads(Project.open(tmp_path / "bluestone.toml"))


def patcher(leads: Leads, lines: Lines) -> Patcher:
    return Patcher(leads, lines)  # type: ignore[arg-type]


def found(phase: Phase, opens: datetime | None = None) -> Outlook:
    permission = Permission(allowed=opens is None, why="outside of patch.windows", opens=opens)
    return Outlook(Assessment(NOW, ()), (), (), (), (), (), phase, permission.why, permission)


def answer(monkeypatch: pytest.MonkeyPatch, *answers: Outlook | Exception) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []
    left = list(answers)

    def prepare(project: Project, target: str | None, **how: Any) -> Outlook:
        asked.append({"by": project.caller.name, "target": target} | how)
        said = left.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(patching, "prepare", prepare)
    return asked


def test_what_was_prepared_is_a_command_of_the_leaders(leads: Leads, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, found("roll out"))
    assert patcher(leads, Lines())._patch() == float("inf"), "the next look is when it is declared to be"
    assert [(job.ask.verb, job.ask.by) for job in leads.jobs] == [("patch", BY)]
    assert (asked[0]["by"], asked[0]["by_hand"]) == (BY, False)


def test_nothing_is_asked_while_the_leader_is_at_work(leads: Leads, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch)
    leads.works_on = "`bluestone up` by jane"
    assert patcher(leads, Lines())._patch() == AGAIN
    assert asked == []


def test_it_says_once_what_it_waits_for_and_looks_again_then(leads: Leads, monkeypatch: pytest.MonkeyPatch) -> None:
    opens = datetime.now(UTC) + timedelta(hours=1)
    answer(monkeypatch, found("wait", opens), found("wait", opens), found("rest"))
    lines = Lines()
    one = patcher(leads, lines)
    assert 3500 < one._patch() <= 3600
    one._patch()
    assert len([line for line in lines.said if line.startswith("patch.waits")]) == 1
    assert one._patch() == float("inf")
    assert leads.jobs == []


def test_a_problem_is_said_and_tried_again(leads: Leads, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Problem("the archive is gone", mend="wait"))
    lines = Lines()
    assert patcher(leads, lines)._patch() == AGAIN
    assert "the archive is gone" in lines.said[0]


def test_it_leaves_what_it_prepares_when_the_daemon_ends(leads: Leads, monkeypatch: pytest.MonkeyPatch) -> None:
    one = patcher(leads, Lines())

    def prepare(*_: object, progress: Any, **__: object) -> Outlook:
        one.stop()
        progress("building")
        raise AssertionError("it went on")

    monkeypatch.setattr(patching, "prepare", prepare)
    one._patch()
    assert leads.jobs == []


def test_without_being_declared_or_leading_it_does_nothing(leads: Leads, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch)
    declared = leads.project.declaration
    monkeypatch.setattr("bluestone.daemon.patcher.SLICE", 0.001)
    for change in (
        {"project": replace(leads.project, declaration=replace(declared, patch=type(declared.patch)()))},
        {"epoch": 0},
    ):
        one = patcher(replace(leads, **change), Lines())
        one.start()
        one._ended.wait(0.05)
        one.stop()
        one._thread.join(5)
    assert asked == []
