"""The first page: the fleet at a glance, each part for itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bluestone.app.fleet.status import GroupStatus, ServerStatus, Status
from bluestone.app.patch import looks
from bluestone.fleet.controller.journal import Entry
from bluestone.model.problem import Problem
from bluestone.patch.history import Look, line
from bluestone.web import fleet
from web_served import Served
from web_shop import HOSTILE

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HALTED = GroupStatus("web", 3, 2, 3, 7, "rolling", ("0.0.0.0:80",), "halted", f"generation 8 failed: {HOSTILE}")
SERVER = ServerStatus("web-1-3a1f-7", "web", 1, 7, "sha256:" + "ab" * 32, "serving", 0, NOW, "10.0.0.2")
STATUS = Status("shop", NOW, (HALTED,), (SERVER,), True, True, ("one host does not answer",))


def test_what_is_moving_and_what_is_wrong_is_seen(fresh: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "status", lambda _: STATUS)
    fresh.project.journal.record(NOW, [Entry("rollout.halted", group="web", message=f"it failed {HOSTILE}")])
    (fresh.project.state / looks.FILE).write_bytes(line(Look(NOW, {"overdue": 2, "due": 5}, "affected", 3)))
    answer = fresh.client("rita").get("/")
    assert answer.status == 200
    for said in ("2 <span", "of 3", "web: halted", "2 <span", "overdue, 5 due", "web-1-3a1f-7", "rollout.halted"):
        assert said in answer.text, said
    assert "one host does not answer" in answer.text
    assert "<script>document" not in answer.text
    assert "\u202e" not in answer.text
    assert fresh.client("rita").get("/api/v1/fleet").json["groups"][0]["rollout"] == "halted"


def test_what_cannot_be_told_hides_nothing_else(fresh: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> Status:
        raise Problem("podman is not installed on this machine")

    monkeypatch.setattr(fleet, "status", missing)
    fresh.project.journal.record(NOW, [Entry("rollout.started", group="web", message="")])
    page = fresh.client("rita").get("/").text
    assert "podman is not installed" in page
    assert "rollout.started" in page
    answer = fresh.client("rita").get("/api/v1/fleet")
    assert answer.status == 400
    assert "podman" in answer.json["error"]["what"]
