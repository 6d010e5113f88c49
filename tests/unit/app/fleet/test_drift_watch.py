"""Looking for drift beside whoever leads: how often, and who is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bluestone.app.fleet import drift
from bluestone.app.project import Project
from bluestone.host.paths import Home
from bluestone.model.declaration import Declaration
from bluestone.model.group import Group
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, Recipe

WEB = Group("web")


class Looks:
    """Stands for a watcher: finds something at each look whose number is in `finds`."""

    def __init__(self, finds: set[int], heard: Callable[..., None]) -> None:
        self.groups: list[list[str]] = []
        self._finds = finds
        self._heard = heard

    def look(self, groups: Iterable[Group]) -> None:
        self.groups.append([group.name for group in groups])
        if len(self.groups) in self._finds:
            self._heard()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    declaration = Declaration("p", Recipe(Base("debian", "trixie")), (WEB,))
    return Project(declaration, Home(tmp_path, tmp_path / "run"))


def test_a_hint_has_it_looked_at_once_and_what_is_new_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Looks] = []

    def watcher(_: Project, notify: Callable[..., None]) -> Looks:
        looks.append(Looks({2}, notify))
        return looks[0]

    monkeypatch.setattr(drift, "watcher", watcher)
    monkeypatch.setattr(drift, "SHORTEST", 0.01)
    ended, told = threading.Event(), threading.Event()

    def hint(due: Callable[[], None], over: threading.Event) -> None:
        while not over.wait(0.02):
            due()

    def silent(_due: Callable[[], None], _over: threading.Event) -> None:
        raise Problem("it tells nothing")

    thread = threading.Thread(target=drift.watch, args=(project, told.set, ended, (silent, hint)))
    thread.start()
    assert told.wait(10), "the second look was long before its period was over"
    ended.set()
    thread.join(10)
    assert not thread.is_alive()
    assert looks[0].groups[:2] == [["web"], ["web"]]


def test_the_policy_of_a_group_is_the_declared_one_and_else_the_last(project: Project) -> None:
    project.journal.declare([Group("web", count=7), Group("old", count=2)])
    assert {name: group.count for name, group in drift.policies(project).items()} == {"web": 1, "old": 2}
