"""`bluestone logs` as a person uses it, over a store that was written before."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from bluestone.cli.main import bluestone
from bluestone.logs.behind import lines_behind
from bluestone.logs.forward import Reached, place_of
from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store import wal
from bluestone.logs.store.seal import seal
from bluestone.logs.store.store import Batch, Store
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

DECLARATION = 'project = "shop"\n[image]\nbase = "debian:trixie"\n[servers.web]\ncount = 1\n'
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the verb over a store with two generations of a group."""
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    (tmp_path / "bluestone.toml").write_text(DECLARATION)
    directory = tmp_path / "home" / "projects" / "shop" / "logs"
    store, credentials = Store(directory), Credentials(directory)
    for generation in (1, 2):
        name = f"web-1-{generation}"
        holder = credentials.holder(credentials.mint(Identity("shop", name, "web", generation, "sha256:1")))
        assert holder is not None
        lines = []
        for number in range(20):
            fields = {
                "__CURSOR": f"c{number}",
                "__REALTIME_TIMESTAMP": str(1_795_435_200_000_000 + generation * 3_600_000_000 + number * 1_000_000),
                "_SYSTEMD_UNIT": "app.service",
                "MESSAGE": f"request {number} done" if number % 5 or generation == 1 else f"request {number} failed",
                "PRIORITY": "6" if number % 5 or generation == 1 else "3",
                "STATUS": str(200 + number % 2),
            }
            lines.append(parse_line(json.dumps(fields).encode(), 1))
        store.append([Batch(holder, tuple(lines))])
        store.turn()
        seal(directory)
    store.close()
    credentials.close()

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(bluestone, ["logs", *arguments, "-f", str(tmp_path / "bluestone.toml")])

    return invoke


def test_a_name_and_a_query_narrow_what_is_shown(run: Run) -> None:
    assert len(run().stdout.splitlines()) == 40
    assert len(run("web", "failed").stdout.splitlines()) == 4
    assert len(run("web-1-1", "STATUS:201").stdout.splitlines()) == 10
    assert len(run("STATUS:201 AND NOT failed").stdout.splitlines()) == 18
    assert len(run("-q", "failed", "-n", "3").stdout.splitlines()) == 3
    assert len(run("--severity", "error").stdout.splitlines()) == 4
    assert run("web-1-2", "-n", "1").stdout == "2026-11-23 14:00:19.000  web-1-2  app.service: request 19 done\n"
    assert run("nothing here").stderr == "no line is like that\n"


@pytest.mark.parametrize("arguments", [("wbe",), ("web", "("), ("--severity", "loud"), ("--diff-generation", "1:x")])
def test_what_cannot_be_asked_is_explained(run: Run, arguments: tuple[str, ...]) -> None:
    failed = run(*arguments).exception
    assert isinstance(failed, Problem)
    assert failed.mend


def test_context_marks_what_was_found_and_parts_stretches(run: Run) -> None:
    shown = run("web-1-2", "failed", "-C", "1").stdout.splitlines()
    assert [line[0] for line in shown] == [*"> ", "-", *" > ", "-", *" > ", "-", *" > "]
    assert "request 5 failed" in shown[4]


def test_counts_are_shown_and_are_json_as_well(run: Run) -> None:
    bars = json.loads(run("--histogram", "--step", "1h", "--json").stdout)["bars"]
    assert [(bar["lines"], bar["errors"]) for bar in bars] == [(20, 0), (20, 4)]
    assert "2026-11-23 13:00:00  20" in run("--histogram", "--step", "1h").stdout
    assert json.loads(run("--top", "STATUS", "--json").stdout)["values"] == [["200", 20], ["201", 20]]
    assert "40 lines have STATUS, in 2 values" in run("--top", "STATUS").stdout


def test_generations_are_compared(run: Run) -> None:
    shown = run("web", "--diff-generation").stdout
    assert "2           20     4       20.00%" in shown
    assert "only new    3         0    4    request * failed" in shown
    assert json.loads(run("web", "--diff-generation", "1:2", "--json").stdout)["new"]["errors"] == 4
    assert isinstance(run("web", "--diff-generation", "2:9").exception, Problem)


def test_a_store_is_checked_carried_and_held(run: Run, tmp_path: Path) -> None:
    assert run("check").stdout == "40 lines in 2 files: all is whole\n"
    file = str(tmp_path / "lines.zst")
    assert run("export", file, "web-1-1").stderr == "20 lines written\n"
    assert run("import", file).stdout == "0 lines taken in, 20 were there already\n"
    assert run("hold").stdout == "nothing is held\n"
    assert "case 17" in run("hold", "web", "--reason", "case 17").stdout
    assert isinstance(run("hold", "nobody", "--reason", "x").exception, Problem)
    assert run("release", "web").exit_code == 0
    assert isinstance(run("release", "web").exception, Problem)
    segment = next((tmp_path / "home" / "projects" / "shop" / "logs" / "days").rglob("*.seg"))
    content = bytearray(segment.read_bytes())
    content[100] ^= 1
    segment.write_bytes(content)
    report = CliRunner().invoke(
        bluestone, ["logs", "check", "-f", str(tmp_path / "bluestone.toml")], standalone_mode=False
    )
    assert (report.return_value, "damaged: days/" in report.stdout) == (2, True)
    shown = run()
    assert len(shown.stdout.splitlines()) == 20
    assert shown.stderr == "1 damaged files of the log store are not shown: see `bluestone logs check`\n"


def test_how_far_sinks_are(run: Run, tmp_path: Path) -> None:
    assert "no sink is declared" in run("sinks").stdout
    sinks = "".join(f'[logs.sinks.{name}]\naddress = "http://127.0.0.1:9"\n' for name in ("away", "fresh", "half"))
    (tmp_path / "bluestone.toml").write_text(DECLARATION + sinks)
    directory = tmp_path / "home" / "projects" / "shop" / "logs"
    half = Reached(number=2, lines=21, refused=1, taken_at=1_795_435_200_000_000)
    place_of(directory, "half").write_bytes(msgspec.json.encode(half))
    place_of(directory, "away").write_bytes(msgspec.json.encode(Reached(number=9, trouble="it is on fire")))
    declared = ["-f", str(tmp_path / "bluestone.toml")]
    result = CliRunner().invoke(bluestone, ["logs", "sinks", "--json", *declared], standalone_mode=False)
    assert result.return_value == 2  # one takes none
    away, fresh, half_way = json.loads(result.stdout)
    assert (away["behind"], away["trouble"], away["last"]) == (0, "it is on fire", None)
    assert (fresh["behind"], fresh["taken"]) == (40, 0)
    assert (half_way["behind"], half_way["taken"], half_way["refused"]) == (20, 20, 1)
    shown = run("sinks").stdout
    assert "it is on fire" in shown and "2026-11-23 12:00:00" in shown


def test_what_is_in_the_log_is_behind_a_sink_from_where_it_came_to(tmp_path: Path) -> None:
    store, credentials = Store(tmp_path), Credentials(tmp_path)
    holder = credentials.holder(credentials.mint(Identity("shop", "web-1", "web", 1, "sha256:1")))
    credentials.close()
    assert holder is not None
    for number in range(3):
        store.append([Batch(holder, (parse_line(b"a", number + 1), parse_line(b"b", number + 1)))])
    store.close()
    reader = wal.Reader(wal.path_of(tmp_path / "wal", 1))
    ends = [frame.end for frame in reader.frames()]
    reader.close()
    assert [lines_behind(tmp_path, Reached(1, place)) for place in (0, *ends)] == [6, 4, 2, 0]
    seal(tmp_path, through=1)
    assert lines_behind(tmp_path, Reached(1, ends[0])) == 6  # a whole segment is given again, by the same names
