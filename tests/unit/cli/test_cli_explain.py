"""`bluestone explain` as a person uses it: a server that is gone, and what it said last."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from bluestone.app.project import Project
from bluestone.cli.main import bluestone
from bluestone.fleet.controller.journal import Entry
from bluestone.logs.query import archive
from bluestone.model.record import Identity, Record

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
DECLARATION = 'project = "shop"\n[image]\nbase = "debian:trixie"\n[servers.web]\ncount = 1\n'
BORN = {"slot": 1, "incarnation": 4, "generation": 2, "image": "sha256:" + "a" * 64}


class Lines:
    """An archive that knows one server."""

    def __init__(self, _: Path) -> None:
        pass

    def last_lines(self, server: str, count: int) -> list[Record]:
        who = Identity("shop", server, "web", 2, "sha256:1")
        lines = [Record(f"c{n}", NOW, who, "app.service", 3, f"line {n}\x1b[2J", b"{}") for n in range(9)]
        return lines[-count:] if server == "web-1-aaaaaaaa-4" else []

    def close(self) -> None:
        pass


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, of which two servers are gone."""
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(archive, "Archive", Lines)
    path = tmp_path / "bluestone.toml"
    path.write_text(DECLARATION)
    journal = Project.open(path).journal
    for server in ("web-1-aaaaaaaa-4", "web-2-aaaaaaaa-5"):
        journal.record(NOW, [Entry("server.create", "web", server, "generation 2 has 0 of 1 servers", BORN)])
        data = {"verb": "destroy"}
        journal.record(NOW, [Entry("server.destroyed", "web", server, "closed from 18:00", data)])
    return path


def test_the_last_words_of_a_server_belong_to_its_story(file: Path) -> None:
    told = CliRunner().invoke(bluestone, ["explain", "web-1-aaaaaaaa-4", "-f", str(file)]).stdout
    assert "destroyed 2026-11-30 09:00:00 UTC: closed from 18:00" in told
    assert "its last words (bluestone logs web-1-aaaaaaaa-4 has all):" in told
    assert told.count("app.service: line") == 5
    assert "line 8" in told
    assert "\x1b" not in told, "what a server wrote does not speak to the terminal"


def test_a_server_that_said_nothing_has_no_last_words(file: Path) -> None:
    arguments = ["explain", "web-2-aaaaaaaa-5", "-f", str(file)]
    assert "last words" not in CliRunner().invoke(bluestone, arguments).stdout
    (story,) = json.loads(CliRunner().invoke(bluestone, [*arguments, "--json"]).stdout)["stories"]
    assert story["said"] == []
