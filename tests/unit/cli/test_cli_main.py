"""The command line: what it prints, and how it ends."""

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

import command_line
from bluestone.cli.main import bluestone as command
from bluestone.cli.reference import PAGE, reference
from bluestone.cli.verbs import VERBS
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.journals.sqlite import SqliteJournal
from command_line import Ended

CONTEXT = click.Context(command)
EXAMPLE = Path(__file__).parents[3] / "examples" / "web"


def bluestone(tmp_path: Path, *arguments: str) -> Ended:
    return command_line.bluestone(tmp_path, tmp_path / "home", *arguments)


def test_the_list_of_verbs_says_what_each_says_of_itself() -> None:
    """cli/verbs.py has the first sentence of each verb's help, so that `--help` need load none of them."""
    own = {verb: found.get_short_help_str(1000) for verb in VERBS if (found := command.get_command(CONTEXT, verb))}
    assert own == {verb: known.help for verb, known in VERBS.items()}


def test_init_writes_a_file_that_check_accepts(tmp_path: Path) -> None:
    assert bluestone(tmp_path, "init", "shop").returncode == 0
    checked = bluestone(tmp_path, "check")
    assert checked.returncode == 0, checked.stderr
    assert "project shop" in checked.stdout
    assert json.loads(bluestone(tmp_path, "check", "--json").stdout)["project"] == "shop"


def test_init_never_writes_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "bluestone.toml").write_text("mine")
    refused = bluestone(tmp_path, "init")
    assert refused.returncode == 1
    assert "exists already" in refused.stderr
    assert (tmp_path / "bluestone.toml").read_text() == "mine"


def test_where_nothing_was_ever_started_that_is_said(tmp_path: Path) -> None:
    bluestone(tmp_path, "init", "shop")
    logs = bluestone(tmp_path, "logs")
    assert (logs.returncode, logs.stdout, logs.stderr) == (0, "", "no server has sent a line yet\n")
    assert bluestone(tmp_path, "logs", "web", "--grep", "x").stderr == "no line is like that\n"
    assert bluestone(tmp_path, "logs", "--json").stderr == ""
    back = bluestone(tmp_path, "rollback")
    assert (back.returncode, back.stderr.splitlines()[0]) == (1, "error: web has had no servers yet")
    assert json.loads(bluestone(tmp_path, "gc", "--json").stdout)["free"] > 0


def test_all_problems_are_shown_at_once_with_place_and_mend(tmp_path: Path) -> None:
    text = (EXAMPLE / "bluestone.toml").read_text()
    (tmp_path / "bluestone.toml").write_text(text.replace("blue-green", "blue-gren").replace("count", "coutn"))
    found = bluestone(tmp_path, "check", "--json")
    assert found.returncode == 1
    assert 'error: unknown strategy "blue-gren"' in found.stderr
    assert 'mend: did you mean "blue-green"?' in found.stderr
    errors = json.loads(found.stdout)["errors"]
    keys = {error["where"]["key"] for error in errors if error["where"]}
    assert {"servers.web.rollout.strategy", "servers.web.coutn"} <= keys


def test_a_missing_declaration_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    for verb in ("check", "plan", "up", "status", "servers", "events", "logs", "down"):
        ended = bluestone(tmp_path, verb)
        assert ended.returncode == 1, verb
        assert "mend:" in ended.stderr, verb
        assert "Traceback" not in ended.stderr, verb


@pytest.mark.parametrize("arguments", [["no-such-verb"], ["up", "--no-such-option"], ["logs", "-n", "0"]])
def test_wrong_words_are_an_error_and_not_a_change(tmp_path: Path, arguments: list[str]) -> None:
    """2 is what `plan` says of changes: a script must not take a typing mistake for that."""
    assert bluestone(tmp_path, *arguments).returncode == 1


def test_a_checked_declaration_is_read_again_when_anything_changed(tmp_path: Path) -> None:
    """It is remembered, so that `status` is quick; never longer than it is true."""
    (tmp_path / "site").mkdir()
    text = 'project = "a"\n[image]\nbase = "debian:trixie"\n[image.files]\n"/srv" = "site"\n'
    declaration = tmp_path / "bluestone.toml"
    declaration.write_text(text)
    for _ in range(2):
        assert "project a" in bluestone(tmp_path, "check").stdout
    declaration.write_text(text.replace('"a"', '"b"'))
    assert "project b" in bluestone(tmp_path, "check").stdout
    (tmp_path / "site").rmdir()
    gone = bluestone(tmp_path, "check")
    assert gone.returncode == 1
    assert "site" in gone.stderr
    for remembered in (tmp_path / "home" / "declarations").iterdir():
        remembered.write_text("{spoilt")
    (tmp_path / "site").mkdir()
    assert "project b" in bluestone(tmp_path, "check").stdout


def test_the_journal_is_verified_up_to_the_first_entry_that_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "bluestone.toml").write_text('project = "a"\n[image]\nbase = "debian:trixie"\n')
    path = tmp_path / "home" / "projects" / "a" / "journal.db"
    path.parent.mkdir(parents=True)
    journal = SqliteJournal(path)
    journal.record(datetime.now(UTC), [Entry("a.b", message="one"), Entry("c.d", message="two")])
    journal.close()
    whole = json.loads(bluestone(tmp_path, "events", "--verify", "--json").stdout)
    assert whole["whole"]
    assert "whole: 2 entries" in bluestone(tmp_path, "events", "--verify", "--head", whole["head"]).stdout
    assert bluestone(tmp_path, "events", "--head", whole["head"]).returncode == 1
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE event SET message = 'another' WHERE sequence = 2")
    db.close()
    broken = bluestone(tmp_path, "events", "--verify")
    assert broken.returncode == 1
    assert "not whole: entry 2" in broken.stdout
    assert "another" in bluestone(tmp_path, "events").stdout, "it can still be read"


def test_whoever_closes_our_output_gets_no_traceback(tmp_path: Path) -> None:
    ran = subprocess.run(
        f"{sys.executable} -c 'from bluestone.cli.main import main; main()' schema | head -c 10",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""


def test_the_reference_names_every_verb_and_option() -> None:
    """Not word for word: the layout is click's, and changes with its version."""
    written = PAGE.read_text().split()
    for verb in VERBS:
        assert verb in written
    options = {word.strip(",") for word in reference().split() if word.startswith("--")}
    assert options <= {word.strip(",") for word in written}, "run ./dev docs"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("a", "b", "c", "--format", "tar"), "at most an image and a destination"),
        (("a", "--format", "disk", "--compress", "zstd"), "--compress is for"),
        (("a",), "Missing option '--format'"),
        (("--format", "tar"), "Missing argument"),
    ],
)
def test_export_refuses_what_it_cannot_mean(tmp_path: Path, arguments: tuple[str, ...], what: str) -> None:
    ended = bluestone(tmp_path, "export", *arguments)
    assert ended.returncode == 1
    assert what in ended.stderr
