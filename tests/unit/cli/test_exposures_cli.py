"""The board as a person sees it, and what a pipeline goes by."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bluestone.app.patch import exposures as use_case
from bluestone.cli import main as cli
from bluestone.cli.proof import _took
from bluestone.model.advisory import Advisory
from bluestone.model.bom import Component
from bluestone.model.exposure import Assessment, Exposure, Unknown, Verdict
from bluestone.model.ids import Digest
from bluestone.patch.board import Board
from bluestone.patch.policy import Deadline

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
IMAGE = Digest("sha256:" + "a" * 64)
ZLIB = replace(
    Component("deb", "zlib1g", "1:1.3-1", "pkg:deb/debian/zlib1g@1:1.3-1", "/var/lib/dpkg/status", "dpkg"),
    source="zlib",
    source_version="1:1.3-1",
)


def board(verdict: Verdict | None, *, exploited: bool = False, **more: Any) -> Board:
    found, dues = [], []
    if verdict:
        cves = ("CVE-2026-1", "CVE-2026-2", "CVE-2026-3")
        advisory = Advisory("zlib 1:1.3-2", "archive", (), cves, severity="high", pending=True, exploited=exploited)
        fixed = "1:1.3-2" if verdict is Verdict.AFFECTED_WITH_FIX else ""
        since = NOW - timedelta(days=20)
        found = [Exposure(advisory, IMAGE, ZLIB, verdict, "because \x1b[31m", "zlib", fixed, since)]
        dues = [Deadline(since + timedelta(days=14) if fixed else None, "a rule")]
    assessment = Assessment(NOW, tuple(found), servers={IMAGE: ("web-0-aaaaaaaa-1",)}, **more)
    return Board("shop", assessment, tuple(dues), {IMAGE: ("web",)})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "home"))
    file = tmp_path / "bluestone.toml"
    file.write_text('project = "shop"\nimage = { base = "debian:trixie" }\n[servers.web]\n')

    def run(found: Board, *words: str) -> tuple[int, str]:
        monkeypatch.setattr(use_case, "board", lambda *_, **__: found)
        monkeypatch.setattr("sys.argv", ["bluestone", "exposures", "-f", str(file), *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capsys.readouterr().out

    return run


def test_what_is_overdue_is_shown_with_what_mends_it(run: Any) -> None:
    status, said = run(board(Verdict.AFFECTED_WITH_FIX))
    assert status == 2
    line = said.splitlines()[1]
    assert line.split() == [
        *("overdue", "deb", "zlib", "1:1.3-1", "1:1.3-2", "CVE-2026-1", "CVE-2026-2", "+1", "high"),
        *("20", "days", "ago", "2026-11-24", "12:00", "1"),
    ]
    assert "1 server on 1 image: affected (1 overdue)" in said


def test_what_has_no_fix_is_counted_and_shown_if_asked_for(run: Any) -> None:
    found = board(Verdict.AFFECTED_WITHOUT_FIX)
    said = run(found)[1]
    assert "CVE" not in said and said.endswith("affected (1 no fix); --all shows the rest\n")
    assert "CVE-2026-3" in run(found, "--all")[1]
    assert "--all" not in run(found, "--all")[1]
    assert (run(found)[0], run(found, "--ignore-unfixed")[0]) == (2, 0)


def test_what_is_exploited_is_shown_though_nothing_mends_it(run: Any) -> None:
    said = run(board(Verdict.AFFECTED_WITHOUT_FIX, exploited=True))[1]
    assert said.splitlines()[1].split()[:4] == ["no", "fix", "deb", "zlib"]
    assert "--all" not in said


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        (board(None), 0, "nothing is exposed"),
        (board(None, gaps=("the feed kev is stale",)), 3, "cannot tell: the feed kev is stale"),
        (board(None, unknown=(Unknown(IMAGE, "npm", 4, "no feed covers npm"),)), 3, "4 components of npm"),
        (board(Verdict.UNKNOWN), 3, "1 unknown"),
    ],
)
def test_outcomes(run: Any, found: Board, status: int, said: str) -> None:
    came, text = run(found)
    assert came == status and said in text


@pytest.mark.parametrize("wanted", ["json", "sarif", "cyclonedx-vex", "openvex"])
def test_formats_are_one_document_each(run: Any, wanted: str) -> None:
    status, said = run(board(Verdict.AFFECTED_WITH_FIX), "--format", wanted)
    assert status == 2 and json.loads(said)


def test_json_has_deadlines_and_standings(run: Any) -> None:
    found = json.loads(run(board(Verdict.AFFECTED_WITH_FIX), "--json")[1])
    assert (found["outcome"], found["tally"]["overdue"]) == ("affected", 1)
    (each,) = found["exposures"]
    assert (each["standing"], each["due"], each["rule"]) == ("overdue", "2026-11-24T12:00:00Z", "a rule")


def test_nothing_speaks_to_the_terminal(run: Any) -> None:
    evil = board(None, gaps=("\x1b[31mred",))
    assert "\x1b" not in run(evil)[1]


@pytest.mark.parametrize(
    ("seconds", "said"), [(42.04, "42.0 s"), (599.9, "599.9 s"), (5460, "1 h 31 min"), (528_700.4, "6 days 2 h")]
)
def test_a_proof_says_how_long_it_took_as_people_do(seconds: float, said: str) -> None:
    assert _took(seconds) == said
