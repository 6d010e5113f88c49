"""`logs audit`, `logs last-words`, `logs allow` and `logs forbid` over a real store."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bluestone.app.logs.audit import check_seals, seal, seal_all, seals_of
from bluestone.app.logs.logkeeping import keep
from bluestone.app.project import Project
from bluestone.cli.audit import audit, last_words
from bluestone.cli.sources import allow, forbid
from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.seals import Seals
from bluestone.logs.store.seal import seal as seal_segment
from bluestone.logs.store.segment import Segment
from bluestone.logs.store.store import Batch, Store
from bluestone.logs.store.tidy import tidy
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "home"))
    file = tmp_path / "bluestone.toml"
    file.write_text('project = "shop"\n[image]\nbase = "debian:trixie"\n')
    return Project.open(file)


@pytest.fixture
def run(project: Project, tmp_path: Path) -> Run:
    def call(verb: click.Command, *words: str) -> tuple[int, str]:
        command = [*words, "--file", str(tmp_path / "bluestone.toml")]
        done = CliRunner().invoke(verb, command, standalone_mode=False, catch_exceptions=False)
        return done.return_value or 0, done.output

    return call


def write(project: Project, server: str, numbers: Sequence[int], goodbye: int | None, *, ended: bool = True) -> None:
    with closing(Credentials(project.logs)) as credentials, closing(Store(project.logs)) as store:
        credentials.mint(Identity("shop", server, "web", 3, "sha256:ab"))
        number = credentials.server(server)
        assert number is not None
        lines = [{"_BLUESTONE_SEQUENCE": str(n), "__CURSOR": f"c{n}", "MESSAGE": f"line {n}"} for n in numbers]
        lines += [{"__CURSOR": "g", "_BLUESTONE_GOODBYE": str(goodbye), "MESSAGE": "goodbye"}] if goodbye else []
        texts = [json.dumps(line, separators=(",", ":")).encode() for line in lines]
        store.append(
            [
                Batch(
                    number,
                    tuple(parse_line(text, 1_790_000_000_000_000 + n) for n, text in enumerate(texts, numbers[0])),
                )
            ]
        )
        if ended:
            credentials.revoke(server)


def test_complete_servers_are_shown_as_such(project: Project, run: Run) -> None:
    write(project, "web-1", [1, 2, 3], 3)
    write(project, "web-2", [1, 2], None, ended=False)
    status, shown = run(audit)
    assert status == 0
    assert [line.split() for line in shown.splitlines()[1:3]] == [
        ["web-1", "3", "of", "3", "none", "said", "goodbye"],
        ["web-2", "2", "of", "2", "none", "it", "runs"],
    ]


@pytest.mark.parametrize(
    ("numbers", "goodbye", "shown"),
    [([1, 2, 5], 5, "3-4"), ([1, 2], 4, "3-4"), ([1, 2], None, "no goodbye"), ([2], 2, "1 ")],
)
def test_gaps_and_lost_tails_are_shown_and_exit_with_2(
    project: Project, run: Run, numbers: list[int], goodbye: int | None, shown: str
) -> None:
    write(project, "web-1", numbers, goodbye)
    status, text = run(audit, "web-1")
    assert status == 2
    assert shown in text
    status, text = run(audit, "web", "--json")
    assert status == 2
    assert not json.loads(text)["complete"]


def test_sealed_lines_are_accounted_for_without_being_read(
    project: Project, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "web-1", [1, 2, 5], 5)
    before = run(audit, "web-1")
    seal_segment(project.logs, through=1 << 30)
    with monkeypatch.context() as patched:
        patched.delattr(Segment, "_read_block")
        assert run(audit, "web-1") == before
    # Unless they are not all as they were written: then what is left is counted.
    monkeypatch.setattr(Segment, "_blocks_are_whole", False)
    assert run(audit, "web-1") == before


def test_nothing_was_sent_yet(run: Run) -> None:
    assert run(audit) == (0, "no server has sent a line yet\n")


def test_a_name_that_nobody_had_is_a_problem(project: Project, run: Run) -> None:
    write(project, "web-1", [1], 1)
    with pytest.raises(Problem, match=r"nor ever was"):
        run(audit, "wbe-1")


def test_many_are_sealed_at_once_like_one(project: Project) -> None:
    for start in range(1, 400, 80):
        for server in ("web-1", "web-2", "web-3"):
            write(project, server, range(start, start + 80), 400 if start == 321 else None, ended=start == 321)
    one = seal(project.logs, "web-2")
    seal_all(project.logs, ["web-3", "web-1", "never-was"])
    assert check_seals(project)[0] == 3
    seals = Seals(seals_of(project.logs))
    for server in ("web-1", "web-3"):
        found = seals.read(server)
        assert found is not None
        assert (found.said, found.lines, found.goodbye) == (one.said, one.lines, one.goodbye)
        assert [found.said[0].message, found.said[-1].message] == ["line 202", "goodbye"]


def test_last_words_are_sealed_once_and_shown(project: Project, run: Run) -> None:
    write(project, "web-1", [1, 2], 2)
    first = seal(project.logs, "web-1")
    assert [said.message for said in first.said] == ["line 1", "line 2", "goodbye"]
    status, shown = run(last_words, "web-1")
    assert status == 0
    assert "line 2" in shown
    assert first.digest in shown
    assert check_seals(project) == (1, first.digest)
    assert "1 sealed, whole" in run(audit)[1]


def test_last_words_that_were_missed_are_sealed_when_they_are_asked_for(project: Project, run: Run) -> None:
    write(project, "web-1", [1], None)
    assert "did not say goodbye" in run(last_words, "web-1")[1]
    assert check_seals(project)[0] == 1


def test_a_server_that_runs_has_no_last_words(project: Project, run: Run) -> None:
    write(project, "web-1", [1], None, ended=False)
    with pytest.raises(Problem, match="still runs"):
        run(last_words, "web-1")


def test_a_source_is_let_in_and_shut_out(project: Project, run: Run, tmp_path: Path) -> None:
    token = run(allow, "router-1")[1].split()[0]
    run(allow, "router-1", "--certificate", str(tmp_path / "own.pem"))
    assert (tmp_path / "own.pem").stat().st_mode & 0o077 == 0
    with closing(Credentials(project.logs)) as credentials:
        assert credentials.holder(token) == credentials.server("router-1")
        run(forbid, "router-1")
        assert credentials.holder(token) is None
        assert not credentials.admitted("router-1")
    with pytest.raises(Problem, match="is there already"):
        run(allow, "router-1", "--certificate", str(tmp_path / "own.pem"))


@pytest.mark.parametrize("name", ["Router", "-x", "web-1-1f3a9c0d-17", "a b", "../x"])
def test_a_source_cannot_be_called_so(run: Run, name: str) -> None:
    with pytest.raises((Problem, click.UsageError)):
        run(allow, name)


def test_what_the_rules_removed_is_no_gap(project: Project, run: Run, tmp_path: Path) -> None:
    """All of a server's lines are gone by the rules; of another one they never came."""
    write(project, "web-1", [1, 2, 3], 3)
    write(project, "web-2", [1, 3], 3)
    file = tmp_path / "bluestone.toml"
    file.write_text(file.read_text() + '[logs]\nkeep = "1h"\n')
    keep(Project.open(file))
    with closing(Store(project.logs)) as store:
        store.turn()
        seal_segment(project.logs)
    tidy(project.logs, datetime.now(UTC))
    status, shown = run(audit)
    assert "0 of 3 kept" in shown
    assert status == 2
    assert [line.split()[0] for line in shown.splitlines() if "rules removed" in line] == ["web-1"]
