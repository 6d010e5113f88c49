"""What a person and a program are shown of drift."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from bluestone.app.fleet.drift import Findings
from bluestone.app.fleet.strays import Stray
from bluestone.cli import options
from bluestone.cli.drift import _data, _text
from bluestone.fleet.controller.watcher import Examined, Report
from bluestone.fleet.drift import Verdict
from bluestone.model.drift import Drift, Unseen

NOW = datetime(2026, 11, 30, 9, 43, 6, tzinfo=UTC)
LOGIN = Drift("logins", "podman exec", "podman exec at 09:43", NOW)
CLEAN = Examined("web-2", "web", (), ())


def findings(*servers: Examined, strays: tuple[Stray, ...] = (), gaps: tuple[str, ...] = ()) -> Findings:
    return Findings(Report(NOW, servers, gaps), strays)


def test_no_drift_says_on_how_many_servers() -> None:
    found = findings(CLEAN)
    assert _text(found) == "no drift found on 1 server"
    assert not found.any


def test_drift_says_what_follows() -> None:
    tainted = Examined("web-1", "web", (Verdict(LOGIN, taints=True),), (), "podman exec at 09:43")
    reported = Examined("web-3", "web", (Verdict(LOGIN, taints=False, why_not='on_drift = "report"'),), ())
    found = findings(tainted, CLEAN, reported)
    lines = _text(found).splitlines()
    assert found.any
    assert lines[1].split() == ["web-1", "logins", "podman", "exec", "at", "09:43", "2026-11-30", "09:43:06", "tainted"]
    assert lines[2].endswith('reported: on_drift = "report"')
    assert "--replace" in lines[3]


def test_what_was_not_examined_is_named_once_for_all_of_whom_it_is_true() -> None:
    gaps = (Unseen("files", "a machine"), Unseen("logins", "a machine"))
    text = _text(findings(Examined("vm-1", "vm", (), gaps), Examined("vm-2", "vm", (), gaps), gaps=("podman is away",)))
    assert "not examined: files, logins of vm-1, vm-2: a machine" in text
    assert "cannot see: podman is away" in text


def test_what_nobody_declared_is_something_to_say() -> None:
    found = findings(CLEAN, strays=(Stray("x", "bystander", "a container"),))
    assert found.any
    assert "x             bystander  a container" in _text(found)


def test_nothing_that_comes_from_a_server_speaks_to_the_terminal() -> None:
    drift = Drift("files", "/x", "/x\x1b[2J is not in the image")
    assert "\x1b" not in _text(findings(Examined("web-1", "web", (Verdict(drift, taints=True),), (), "x")))


def test_programs_get_the_same() -> None:
    found = findings(Examined("web-1", "web", (Verdict(LOGIN, taints=True),), (Unseen("units", "?"),), "it"))
    data = json.loads(options.as_json(_data(found)))
    (server,) = data["servers"]
    assert (server["server"], server["tainted"]) == ("web-1", "it")
    assert server["drift"][0]["aspect"] == "logins"
    assert server["not_examined"] == [{"aspect": "units", "why": "?"}]
