"""What stays and what goes, with servers in memory and images of one file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.image import gc
from bluestone.app.image.gc import Policy, collect, retire
from bluestone.app.project import Project
from bluestone.app.state import move
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.host.paths import Home
from bluestone.image.lock.file import render
from bluestone.image.store import LOCK, Facts, ImageStore
from bluestone.model.declaration import Declaration, Store
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Group, SecretRef
from bluestone.model.ids import Digest
from bluestone.model.lock import Lock, LockedPackage, Release
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, Recipe
from bluestone.model.server import Server
from bluestone.simulation.provider import Cloud, SimulatedProvider

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=30)
RELEASE = Release("main", "trixie", "trixie", OLD.replace(microsecond=0), None, "0" * 64)
WEEK = Policy(keep=1, unused_for=timedelta(days=7))


def package(content: bytes, directory: Path, store: ImageStore) -> LockedPackage:
    file = directory / "x.deb"
    file.write_bytes(content)
    sha256 = store.packages.add(file)
    os.utime(store.packages.path(sha256), (OLD.timestamp(), OLD.timestamp()))
    name = f"x{sha256[:6]}"
    return LockedPackage(name, "1", "amd64", sha256, len(content), f"pool/{name}.deb", "main", "trixie", name, "1")


class World:
    """A store with images, projects whose journals speak of them, and a cloud."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cloud = Cloud()
        self.down: set[str] = set()
        self.web = self.project("web")
        self.store = ImageStore(self.web.home.images)
        self.common = package(b"common", directory, self.store)
        self.packages: dict[str, LockedPackage] = {}

    def project(self, name: str) -> Project:
        recipe = Recipe(Base("debian", "trixie"))
        home = Home(self.directory, self.directory / "run")
        group = Group("web", provider="simulated")
        one = Project(Declaration(name, recipe, (group,)), home, self.directory / f"{name}.toml")
        one.journal.declare([group])
        return one

    def image(self, name: str, *, used: datetime = OLD) -> str:
        digest = f"sha256:{name * 64}"
        self.packages[digest] = package(name.encode(), self.directory, self.store)
        lock = Lock("debian:trixie", "amd64", 0, (), (RELEASE,), (self.common, self.packages[digest]))
        with self.store.workplace() as work:
            (work / "root").mkdir()
            (work / "manifest").write_text("")
            (work / LOCK).write_text(render(lock))
            self.store.add(work, Facts(digest, name * 64, 1, 1, (), (), OLD))
        os.utime(self.store.root(digest).parent / "image.json", (used.timestamp(), used.timestamp()))
        return digest

    def settled(self, project: Project, image: str) -> int:
        """A generation of the image has served."""
        number = project.journal.generation("web", image, ServerConfig("simulated"), keep=True).number
        data = {"generation": number, "count": 1}
        for kind in ("rollout.started", "rollout.settled"):
            project.journal.record(OLD, [Entry(kind, "web", data=data)])
        return number

    def run(self, project: Project, image: str) -> None:
        server = Server("web-0-x-1", "web", 0, 1, 1, Digest(image), Digest("c"), "running", OLD)
        self.cloud.servers[project.name, server.name] = server
        entry = Entry("server.create", "web", server.name, data={"generation": self.settled(project, image)})
        project.journal.record(OLD, [entry])

    def providers(self, project: Project, names: Iterable[str]) -> dict[str, SimulatedProvider]:
        made = {name: SimulatedProvider(project.name, lambda: NOW, self.cloud) for name in names}
        for provider in made.values():
            if project.name in self.down:
                provider.fault("list", "not-done")
        return made

    @property
    def images(self) -> set[str]:
        return {image.digest for image in self.store.list()}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(wiring, "providers", made.providers)
    monkeypatch.setattr(gc, "peek", lambda _: None)
    return made


def test_only_what_nobody_needs_goes_and_its_packages_with_it(world: World) -> None:
    running, before, older, lost, new = (world.image(name) for name in "abcde")
    world.settled(world.web, older)
    world.settled(world.web, before)
    world.run(world.web, running)
    os.utime(world.store.root(new).parent / "image.json")
    planned = collect(world.web, WEEK, dry=True)
    assert world.images == {running, before, older, lost, new}, "a dry run removes nothing"
    cleaning = collect(world.web, WEEK, dry=False)
    assert cleaning.verdicts == planned.verdicts
    assert {str(verdict.image.digest): verdict.kept for verdict in cleaning.verdicts} == {
        running: "server web-0-x-1",
        before: "generation 2 of web of web",
        older: "",
        lost: "",
        new: "used lately",
    }
    assert world.images == {running, before, new}
    assert cleaning.packages == planned.packages == 2
    gone = {world.packages[older], world.packages[lost]}
    assert set(world.store.packages.missing([world.common, *world.packages.values()])) == gone
    assert world.store.find("c" * 64) is None
    assert not (world.store.directory / "keys" / ("c" * 64)).exists()


def test_servers_and_generations_of_other_projects_count(world: World) -> None:
    shop = world.project("shop")
    ours, theirs, way_back = (world.image(name) for name in "abc")
    world.settled(shop, way_back)
    world.run(shop, theirs)
    world.run(world.web, ours)
    collect(world.web, WEEK, dry=False)
    assert world.images == {ours, theirs, way_back}
    collect(world.web, replace(WEEK, keep=0), dry=False)
    assert world.images == {ours, theirs}


def test_what_is_declared_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = world.image("a")
    monkeypatch.setattr(gc, "peek", lambda _: Lock("debian:trixie", "amd64", 0, (), (), ()))
    monkeypatch.setattr(gc, "image_key", lambda *_: "a" * 64)
    (verdict,) = collect(world.web, WEEK, dry=False).verdicts
    assert verdict.kept == "declared in web.toml"
    assert world.images == {declared}


def test_what_cannot_be_seen_stops_it(world: World) -> None:
    shop = world.project("shop")
    world.image("a")
    world.run(shop, world.image("b"))
    world.down.add("shop")
    with pytest.raises(Problem, match="not every server of shop can be seen") as raised:
        collect(world.web, WEEK, dry=False)
    assert "nothing was removed" in raised.value.left
    assert len(world.images) == 2


def test_projects_whose_journal_is_in_a_database_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, kept = world.project("shop"), world.image("b")
    world.image("a")
    world.settled(shop, kept)
    database = world.directory / "shop.db"
    monkeypatch.setattr(wiring, "journal_elsewhere", lambda *_: SqliteJournal(database))
    store = Store("postgresql://db.example.org/fleet", SecretRef("password", "env", "STORE"))
    move(replace(shop, declaration=replace(shop.declaration, store=store)))
    collect(world.web, WEEK, dry=False)
    assert world.images == {kept}
    monkeypatch.undo()
    monkeypatch.setattr(gc, "peek", lambda _: None)
    with pytest.raises(Problem, match="the variable STORE, which is not set"):
        collect(world.web, WEEK, dry=False)
    assert world.images == {kept}


def test_stages_that_nobody_built_on_lately_go_and_what_a_proof_needs_stays(world: World) -> None:
    pinned = package(b"of a stage", world.directory, world.store)
    lock = Lock("debian:trixie", "amd64", 0, (), (RELEASE,), (pinned,))
    for key, patched in (("a" * 64, False), ("b" * 64, False), ("c" * 64, True)):
        with world.store.workplace() as work:
            (work / "root").mkdir()
            (work / "manifest").write_text("")
            world.store.stages.add(work, key, "family", lock, patched=patched)
    for key in ("a" * 64, "c" * 64):
        os.utime(world.store.stages.directory / key / "use", (OLD.timestamp(), OLD.timestamp()))
    collect(world.web, WEEK, dry=True)
    assert len(world.store.stages.list()) == 3
    collect(world.web, WEEK, dry=False)
    assert [stage.key[0] for stage in world.store.stages.list()] == ["b", "c"]
    assert world.store.packages.path(pinned.sha256).exists(), "the patched one is still to be proved"


def test_of_images_that_were_replaced_those_go_that_nobody_needs(world: World) -> None:
    running, before, older, busy, other = (world.image(name) for name in "abcde")
    world.settled(world.web, older)
    world.settled(world.web, before)
    world.run(world.web, running)
    os.utime(world.store.root(busy).parent / "image.json")
    assert retire(world.web, [running, before, older, busy, "sha256:" + "9" * 64]) == [older]
    assert world.images == {running, before, busy, other}, "nothing that was not named, and one to go back to"
    world.down.add("web")
    with pytest.raises(Problem, match="can be seen"):
        retire(world.web, [before])
