"""Values that carry secrets do not show them where values are shown: in traces and messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestone.app.project import Project
from bluestone.host.paths import Home
from bluestone.image.archive import ResolvedBase
from bluestone.model.declaration import Declaration
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.ids import Digest
from bluestone.model.recipe import Base, Recipe
from bluestone.model.server import ServerSpec

SECRET = "hunter2-or-nothing"


def test_a_caller_has_the_variables_of_the_process_and_hides_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTONE_TEST_PASSWORD", SECRET)
    declaration = Declaration("shop", Recipe(Base("debian", "trixie")), ())
    project = Project(declaration, Home(Path("/h"), Path("/h/run")))
    assert project.caller.variables["BLUESTONE_TEST_PASSWORD"] == SECRET
    assert project.caller.name in repr(project)
    assert SECRET not in repr(project)


def test_what_a_server_is_started_with_is_hidden() -> None:
    generation = Generation("web", 3, Digest("sha256:" + "1f" * 32), ServerConfig("podman"))
    spec = ServerSpec("shop", 1, 7, generation, bootfiles={"environment": SECRET.encode()})
    assert "web-1-1f1f1f1f-7" in repr(spec)
    assert SECRET not in repr(spec)


def test_how_to_log_in_to_an_archive_is_hidden() -> None:
    base = ResolvedBase("debian", "trixie", "amd64", Path("/k"), (), {"http://archive.example": f"ann:{SECRET}"})
    assert "debian:trixie" in repr(base)
    assert SECRET not in repr(base)
